"""Bodies too large, encoded, in broken chunks or cut off: refused, as early as possible."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat

import pytest

from app.web.usage import BYTES_AT_ONCE
from harness.servers import Web, eventually
from tests import raw
from tests.receiver.callbacks import a_token, body, post
from tests.receiver.hostile.problem import is_problem
from tests.receiver.hostile.process import MIB

pytestmark = pytest.mark.usefixtures("unharmed")


def test_a_gigabyte_declared_is_refused_unread(web: Web, path: str) -> None:
    """The Content-Length alone decides."""
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


def test_one_url_cannot_fill_the_memory(web: Web, path: str) -> None:
    """Bodies that never end, on many connections: beyond 16 MiB at once the URL gets 429, and another URL is served."""
    size, other = web.settings.max_body, a_token(web.settings, name="other")
    fitting = BYTES_AT_ONCE // size
    with ExitStack() as links:
        for _ in range(fitting):
            link = links.enter_context(raw.connect(web.port))
            link.sendall(raw.head("POST", path, f"Content-Length: {size}") + b" " * 1000)

        def is_full() -> bool:
            answer = post(web.url, path.rpartition("/")[2], body())
            return answer.status_code == 429 and answer.json()["reason"] == "too_many_callbacks"

        eventually(is_full, "all these bodies to be begun")
        assert post(web.url, other, body()).status_code == 200
    eventually(lambda: post(web.url, path.rpartition("/")[2], body()).status_code == 200, "room again")


def test_a_gigabyte_declared_and_sent_is_refused_early(web: Web, path: str) -> None:
    """The connection is closed long before the gigabyte is sent."""
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
    """MAX_BODY bytes are accepted, one byte more is refused; chunked or not."""
    limit = web.settings.max_body
    content = body().ljust(limit)
    for length, status in ((limit, 200), (limit + 1, 413)):
        more = content.ljust(length)
        assert post(web.url, path.rpartition("/")[2], more).status_code == status
        chunked = [f"{length:x}\r\n".encode(), more, b"\r\n0\r\n\r\n"]
        answer = raw.exchange(web.port, raw.head("POST", path, "Transfer-Encoding: chunked"), *chunked)
        assert answer.status == status


def test_a_bad_token_is_refused_before_the_size_is_checked(web: Web) -> None:
    """Without a valid token the answer is 403 whatever the size."""
    answer = raw.exchange(web.port, raw.head("POST", "/callbacks/forged", f"Content-Length: {2**40}"))
    is_problem(answer, 403, "bad_token")


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


def test_a_body_that_ends_early_is_refused(web: Web, path: str) -> None:
    """If the client closes in the middle of a body, no job is stored."""
    content = body(JobId="jhalf")
    with raw.connect(web.port) as link:
        link.sendall(raw.head("POST", path, f"Content-Length: {len(content)}") + content[:-1])
        link.shutdown(1)
        is_problem(raw.read_answer(link), 400, "incomplete_body")
    assert web.call("GET", "/v1/jobs/jhalf").status_code == 404
