"""HTTP that no well-behaved client speaks, against real gunicorn: always an answer of ours, or a clean close."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import psutil
import pytest
import requests

from harness.servers import Web, eventually, free_port
from harness.settings import make_settings
from tests import raw
from tests.callbacks import new_job_id
from tests.receiver.callbacks import a_token, body, post

MIB = 2**20
# What the process may grow by over one test: nothing that is sent here is kept.
GROWTH = 60 * MIB


def memory(web: Web) -> int:
    """Bytes in memory of gunicorn and its workers."""
    master = psutil.Process(web.web.pid)
    return sum(each.memory_info().rss for each in (master, *master.children(recursive=True)))


def workers(web: Web) -> list[int]:
    return sorted(child.pid for child in psutil.Process(web.web.pid).children())


@pytest.fixture(autouse=True)
def unharmed(web: Web) -> Iterator[None]:
    """The same processes as before, as small as before, nothing in the log that only a fault would say."""
    before, said, who = memory(web), len(web.web.text()), workers(web)
    yield
    assert requests.get(f"{web.url}/healthz", timeout=10).ok
    assert workers(web) == who, "no process died"
    assert memory(web) - before < GROWTH
    assert "Traceback" not in web.web.text()[said:]


@pytest.fixture
def path(web: Web) -> str:
    """An address that may be posted to."""
    return f"/callbacks/{a_token(web.settings)}"


def is_problem(answer: raw.Answer, status: int, reason: str) -> None:
    assert (answer.status, answer.document["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"


# ── size ────────────────────────────────────────────────────────────────────


def test_a_gigabyte_declared_is_refused_unread(web: Web, path: str) -> None:
    """Content-Length alone is enough to say no."""
    answer = raw.exchange(web.port, raw.head("POST", path, f"Content-Length: {2**30}"))
    is_problem(answer, 413, "body_too_large")


def test_a_sender_of_an_oversized_body_gets_the_reason(web: Web, path: str) -> None:
    """A proxy sends the whole body before it reads: a connection that is reset meanwhile would be its own 502."""
    large = b" " * 12 * MIB
    head = raw.head("POST", path, f"Content-Length: {len(large)}")
    for _ in range(5):
        with raw.connect(web.port) as link:
            link.sendall(head + large)
            is_problem(raw.read_answer(link), 413, "body_too_large")


def test_a_gigabyte_declared_and_sent_is_refused_early(web: Web, path: str) -> None:
    """The sender is cut off long before it is through."""
    sent = 0

    def gigabyte() -> Iterator[bytes]:
        nonlocal sent
        yield raw.head("POST", path, f"Content-Length: {2**30}")
        for piece in repeat(b" " * MIB, 1024):
            sent += len(piece)
            yield piece

    with raw.connect(web.port) as link, pytest.raises(OSError):
        for piece in gigabyte():
            link.sendall(piece)
    assert sent < 200 * MIB


def test_a_gigabyte_in_chunks_is_refused_at_the_limit(web: Web, path: str) -> None:
    """Without a Content-Length the body is counted, and dropped when it is too much."""
    piece = b"10000\r\n" + b"<" * 65536 + b"\r\n"
    head = raw.head("POST", path, "Transfer-Encoding: chunked")
    answer = raw.exchange(web.port, head, *repeat(piece, 5))
    is_problem(answer, 413, "body_too_large")


def test_a_body_of_exactly_the_limit_is_read(web: Web, path: str) -> None:
    """MAX_BODY bytes are taken, one more is not; chunked or not."""
    limit = web.settings.max_body
    content = body().ljust(limit)
    for length, status in ((limit, 200), (limit + 1, 413)):
        more = content.ljust(length)
        assert post(web.url, path.rpartition("/")[2], more).status_code == status
        chunked = [f"{length:x}\r\n".encode(), more, b"\r\n0\r\n\r\n"]
        answer = raw.exchange(web.port, raw.head("POST", path, "Transfer-Encoding: chunked"), *chunked)
        assert answer.status == status


def test_a_bad_token_is_refused_before_the_size_is_checked(web: Web) -> None:
    """Nothing of a stranger's body is looked at: 403 whatever its size."""
    answer = raw.exchange(web.port, raw.head("POST", "/callbacks/forged", f"Content-Length: {2**40}"))
    is_problem(answer, 403, "bad_token")


# ── bodies that are not what they say ───────────────────────────────────────


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "gzip, identity", "x"])
def test_encoded_bodies_are_refused_unread(web: Web, path: str, coding: str) -> None:
    """A gigabyte of blanks is a megabyte in gzip: we never unpack."""
    bomb = gzip.compress(b" " * 100 * MIB)
    answer = post(web.url, path.rpartition("/")[2], bomb[:200_000], **{"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["reason"]) == (415, "content_encoding")


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n<a/>\r\n0\r\n\r\n",
        b"-4\r\n<a/>\r\n0\r\n\r\n",
        b"\r\n\r\n",
        b"4\r\n<a/>XX0\r\n\r\n",
        b"4;ext=\x00\r\n<a/>\r\n0\r\n\r\n",
        b"5" * 9000,
        b"0\r\nBad Trailer\r\n\r\n",
    ],
)
def test_chunks_that_lie_are_refused(web: Web, path: str, chunks: bytes) -> None:
    """Broken chunking is the client's fault: 400, and the connection ends."""
    with raw.connect(web.port) as link:
        answer = raw.converse(link, raw.head("POST", path, "Transfer-Encoding: chunked"), chunks)
        is_problem(answer, 400, "incomplete_body")
        assert raw.read_answer(link).status == 0


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
    """What two servers could read in two ways is read in none; the answer is a problem document too."""
    answer = raw.exchange(web.port, raw.head("POST", path, *headers) + b"<a/>\n")
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert path.encode() not in answer.body


def test_a_body_that_ends_early_is_refused(web: Web, path: str) -> None:
    """Hanging up in the middle of a body stores nothing."""
    content = body(JobId="jhalf")
    with raw.connect(web.port) as link:
        link.sendall(raw.head("POST", path, f"Content-Length: {len(content)}") + content[:-1])
        link.shutdown(1)
        is_problem(raw.read_answer(link), 400, "incomplete_body")
    assert web.call("GET", "/v1/jobs/jhalf").status_code == 404


def test_a_body_that_goes_on_is_not_read_as_a_request(web: Web, path: str) -> None:
    """What follows the Content-Length is the next request, and judged as one."""
    content = body()
    with raw.connect(web.port) as link:
        link.sendall(raw.head("POST", path, f"Content-Length: {len(content)}") + content + b"}}\r\n\r\n")
        seen = b""
        while more := link.recv(65536):
            seen += more
    assert seen.count(b"HTTP/1.1 200") == 1
    assert seen.count(b"HTTP/1.1 400") == 1


# ── heads ───────────────────────────────────────────────────────────────────


def test_too_many_headers_are_refused(web: Web, path: str) -> None:
    answer = raw.exchange(web.port, raw.head("POST", path, *(f"X-{n}: y" for n in range(5000))))
    is_problem(answer, 431, "head_too_large")


def test_a_head_past_its_bound_is_refused_before_it_ends(web: Web, path: str) -> None:
    """32 KiB in lines that are each short enough: answered at once, not when all has come."""
    lines = [f"X-{n}: {'y' * 1000}" for n in range(40)]
    answer = raw.exchange(web.port, raw.head("POST", path, *lines)[:-2])
    is_problem(answer, 431, "head_too_large")  # one that was cut off by the clock has no answer at all
    small = raw.exchange(web.port, raw.head("GET", "/healthz", *lines[:25]))
    assert small.status == 200


def test_requests_that_come_together_are_each_answered(web: Web, path: str) -> None:
    """Whole ones and the beginning of another, cut anywhere, also within the end of a head."""
    one = raw.head("GET", "/healthz")
    for cut in range(1, len(one)):
        with raw.connect(web.port) as link:
            link.sendall(one + one + one[:cut])
            time.sleep(0.01)
            link.sendall(one[cut:])
            seen = b""
            while seen.count(b"HTTP/1.1 200") < 3:
                more = link.recv(65536)
                assert more, (cut, seen)
                seen += more


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
    """CI posts; nothing else is answered with more than a problem."""
    answer = raw.exchange(web.port, raw.head(method, path))
    assert answer.status in {400, 404, 405}
    assert answer.headers["content-type"] == "application/problem+json"


# ── ways to talk ────────────────────────────────────────────────────────────


def test_pipelined_requests_are_each_answered(web: Web, path: str) -> None:
    """Several requests in one packet get as many answers, in order."""
    content = body(JobId="jpiped")
    one = raw.head("POST", path, f"Content-Length: {len(content)}") + content
    with raw.connect(web.port) as link:
        link.sendall(one * 5 + raw.head("POST", "/callbacks/x", "Content-Length: 0"))
        seen = b""
        while seen.count(b"HTTP/1.1 ") < 6:
            more = link.recv(65536)
            assert more, seen
            seen += more
    assert seen.count(b"HTTP/1.1 200") == 5
    assert seen.count(b"HTTP/1.1 403") == 1


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


def test_a_kept_connection_serves_many(web: Web, path: str) -> None:
    with requests.Session() as session:
        for n in range(20):
            assert session.post(web.url + path, data=body(JobId=f"jkept{n}"), timeout=10).status_code == 200


@pytest.mark.parametrize("where", ["good token", "bad token"])
@pytest.mark.parametrize(
    ("more", "headers"),
    [(MIB, ()), (16 * MIB, ()), (MIB - 1000, ("Content-Encoding: br",))],
    ids=["too large", "far too large", "encoded"],
)
def test_a_connection_that_closes_says_so(
    web: Web, path: str, where: str, more: int, headers: tuple[str, ...]
) -> None:
    """A client that is answered ``keep-alive`` may send its next callback on the same connection: it must be read."""
    address = path if where == "good token" else "/callbacks/unknown"
    refused = raw.head("POST", address, f"Content-Length: {more + 1000}", *headers)
    with raw.connect(web.port) as link:
        answer = raw.converse(link, refused, b" " * 1000)
        assert answer.status in {403, 413, 415}
        assert answer.headers["connection"] == "close"
        assert link.recv(1) == b""


def test_a_refusal_whose_body_was_read_keeps_the_connection(web: Web, path: str) -> None:
    """Also if it was skipped because the answer does not need it: it has arrived then."""
    refused = raw.head("POST", "/callbacks/unknown", "Content-Length: 30000") + b" " * 30000
    good = body(JobId=new_job_id())
    with raw.connect(web.port) as link:
        assert raw.converse(link, refused).headers["connection"] == "keep-alive"
        assert raw.converse(link, raw.head("POST", path, f"Content-Length: {len(good)}"), good).status == 200


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "SCRIPT_NAME: /callbacks", "PATH_INFO: /healthz"])
def test_no_header_moves_us(web: Web, path: str, header: str) -> None:
    """Where the service is mounted is PUBLIC_URL's to say, not a request's; a callback is taken all the same."""
    content = body(JobId=new_job_id())
    sent = raw.head("POST", path, f"Content-Length: {len(content)}", header) + content
    assert raw.exchange(web.port, sent).status == 200
    assert raw.exchange(web.port, raw.head("GET", "/healthz", header)).status == 200


def test_connections_that_are_dropped_at_once_do_no_harm(web: Web) -> None:
    """Connect scans and health probes of load balancers are nothing to log a fault about."""
    for _ in range(200):
        raw.connect(web.port).close()
    text = raw.head("POST", "/callbacks/x", "Content-Length: 100")
    for cut in range(0, len(text), 3):
        with raw.connect(web.port) as link:
            link.sendall(text[:cut])


def test_no_file_is_left_behind(web: Web, path: str) -> None:
    """The files of a crowd of connections are closed in the end."""
    process = psutil.Process(workers(web)[0])
    before = process.num_fds()
    links = [raw.connect(web.port) for _ in range(300)]
    for link in links:
        link.close()
    eventually(lambda: process.num_fds() <= before + 20, "their files to be closed")


def test_more_connections_than_there_is_room_for(web: Web, tmp_path: Path) -> None:
    """When every place is taken by someone who waits, the longest waiting makes room."""
    settings = make_settings(web.settings.redis_url)
    few = {"GUNICORN_CMD_ARGS": "--worker-connections 60 --workers 1"}
    with Web(settings, free_port(), tmp_path, **few) as small:
        links = [raw.connect(small.port) for _ in range(200)]
        started = time.monotonic()
        assert post(small.url, a_token(settings), body()).status_code == 200
        assert time.monotonic() - started < 25, "three crowds of 60 are let go one after the other in 30 s"
        for link in links:
            link.close()
        assert "Traceback" not in small.web.text()
