"""HTTP that no well-behaved client sends, against real gunicorn: always a problem document, or a clean close."""

from __future__ import annotations

import pytest

from harness.servers import Web
from tests import raw
from tests.callbacks import new_job_id
from tests.receiver.callbacks import body
from tests.receiver.hostile.problem import is_problem

pytestmark = pytest.mark.usefixtures("unharmed")


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -1"],
        ["Content-Length: 1x"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: nonsense"],
        ["Bad Header: x"],
        ["X: a\x00b"],
        [" folded"],
        ["Expect: the-unexpected", "Content-Length: 5"],
    ],
)
def test_heads_that_are_ambiguous_are_refused(web: Web, path: str, headers: list[str]) -> None:
    """A head that two servers could read differently gets 4xx, as a problem document."""
    answer = raw.exchange(web.port, raw.head("POST", path, *headers) + b"<a/>\n")
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert path.encode() not in answer.body


def test_too_many_headers_are_refused(web: Web, path: str) -> None:
    answer = raw.exchange(web.port, raw.head("POST", path, *(f"X-{n}: y" for n in range(5000))))
    is_problem(answer, 431, "head_too_large")


def test_a_head_past_its_bound_is_refused_before_it_ends(web: Web, path: str) -> None:
    """32 KiB of lines that are each short enough: answered at once, not when the head is complete."""
    lines = [f"X-{n}: {'y' * 1000}" for n in range(40)]
    answer = raw.exchange(web.port, raw.head("POST", path, *lines)[:-2])
    is_problem(answer, 431, "head_too_large")  # one that was cut off by the clock has no answer at all
    small = raw.exchange(web.port, raw.head("GET", "/healthz", *lines[:25]))
    assert small.status == 200


@pytest.mark.parametrize("size", [9_000, 70_000, 5_000_000])
def test_a_huge_header_is_refused(web: Web, path: str, size: int) -> None:
    answer = raw.exchange(web.port, raw.head("POST", path, "X: " + "y" * size))
    assert answer.status in {431, 0}
    assert size > 70_000 or answer.status == 431


@pytest.mark.parametrize("size", [5_000, 70_000, 5_000_000])
def test_a_huge_request_line_is_refused(web: Web, size: int) -> None:
    answer = raw.exchange(web.port, raw.head("GET", "/" + "y" * size))
    assert answer.status in {414, 0}
    assert size > 70_000 or answer.status == 414


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_invalid_http_is_refused(web: Web, line: bytes) -> None:
    answer = raw.exchange(web.port, line)
    assert answer.status in {400, 0}


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "X" * 19]
)
def test_other_methods_are_refused(web: Web, path: str, method: str) -> None:
    """Any method but POST gets a problem document."""
    answer = raw.exchange(web.port, raw.head(method, path))
    assert answer.status in {400, 404, 405}
    assert answer.headers["content-type"] == "application/problem+json"


def test_http_1_0_is_spoken(web: Web, path: str) -> None:
    content = body()
    head = raw.head("POST", path, f"Content-Length: {len(content)}", version="1.0")
    assert raw.exchange(web.port, head, content).status == 200


def test_expect_continue_is_answered(web: Web, path: str) -> None:
    """A client that sends Expect: 100-continue gets 100; one without a good token is refused at once."""
    content = body()
    with raw.connect(web.port) as link:
        link.sendall(raw.head("POST", path, f"Content-Length: {len(content)}", "Expect: 100-continue"))
        assert link.recv(100).startswith(b"HTTP/1.1 100")
        assert raw.converse(link, content).status == 200


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "SCRIPT_NAME: /callbacks", "PATH_INFO: /healthz"])
def test_no_header_changes_the_mount_point(web: Web, path: str, header: str) -> None:
    """Only PUBLIC_URL says where the service is mounted; the callback is accepted all the same."""
    content = body(JobId=new_job_id())
    sent = raw.head("POST", path, f"Content-Length: {len(content)}", header) + content
    assert raw.exchange(web.port, sent).status == 200
    assert raw.exchange(web.port, raw.head("GET", "/healthz", header)).status == 200
