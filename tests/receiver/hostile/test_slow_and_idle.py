"""Clients that hold a connection delay no other client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness.servers import Web
from server.worker import HEAD_SECONDS
from tests import raw
from tests.receiver.callbacks import a_token, body, post

pytestmark = pytest.mark.usefixtures("no_fault")

CROWD = 60


def answers_promptly(web: Web) -> None:
    """Several callbacks are accepted, each before any connection of the crowd can have timed out."""
    for _ in range(5):
        started = time.monotonic()
        assert post(web.url, a_token(web.settings), body()).status_code == 200
        assert time.monotonic() - started < HEAD_SECONDS


def test_idle_connections_cost_no_thread(web: Web) -> None:
    """Silent connections are closed after a while, and callbacks are accepted meanwhile."""
    with ExitStack() as held:
        idle = [held.enter_context(raw.connect(web.port)) for _ in range(CROWD)]
        answers_promptly(web)
        assert raw.read_answer(idle[0]).status == 0, "closed without an answer"


def test_slow_heads_cost_no_thread(web: Web) -> None:
    """A head that arrives byte by byte is cut off after a while, and callbacks are accepted meanwhile."""
    text = raw.head("POST", "/callbacks/x", "Content-Length: 2", *(f"X-{n}: {'a' * 50}" for n in range(40)))
    with ExitStack() as held:
        slow = [held.enter_context(raw.connect(web.port)) for _ in range(CROWD)]
        stop = threading.Event()
        closed = threading.Event()

        def trickle() -> None:
            for n in range(len(text) - 1):
                for link in slow:
                    try:
                        link.sendall(text[n : n + 1])
                    except OSError:
                        closed.set()
                        return
                if stop.wait(0.5):
                    return

        sender = threading.Thread(target=trickle)
        sender.start()
        answers_promptly(web)
        assert closed.wait(30)
        stop.set()
        sender.join()


def test_heads_in_pieces_are_requests_all_the_same(web: Web) -> None:
    """A head that comes in several packets, the last of them with part of the body, is understood."""
    content = body()
    token = a_token(web.settings)
    whole = raw.head("POST", f"/callbacks/{token}", f"Content-Length: {len(content)}") + content
    with raw.connect(web.port) as link:
        for cut in range(0, len(whole), 150):
            link.sendall(whole[cut : cut + 150])
            time.sleep(0.01)
        assert raw.read_answer(link).status == 200


@pytest.mark.parametrize("path", ["/callbacks/forged", "/callbacks/TOKEN", "/v1/jobs", "/nowhere"])
def test_slow_bodies_cost_no_thread(web: Web, path: str) -> None:
    """With and without a valid token: a URL may have leaked."""
    path = path.replace("TOKEN", a_token(web.settings))
    with ExitStack() as held:
        for _ in range(CROWD):
            link = held.enter_context(raw.connect(web.port))
            link.sendall(raw.head("POST", path, "Content-Length: 100000") + b"{")
        answers_promptly(web)


def test_clients_that_do_not_hang_up_cost_no_thread(web: Web) -> None:
    """After its answer to HTTP/1.0 the server closes the connection, even if the client keeps it open."""
    with ExitStack() as held:
        for _ in range(CROWD):
            link = held.enter_context(raw.connect(web.port))
            link.sendall(raw.head("GET", "/healthz", version="1.0"))
        answers_promptly(web)


@pytest.mark.slow
def test_bodies_that_do_not_come_are_given_up(web: Web) -> None:
    """With a valid token or key, a body that trickles or stops gets 408 after some 20 s."""
    mine = f"/callbacks/{a_token(web.settings)}"
    stops = raw.head("POST", mine, "Content-Length: 1000") + body()[:100]
    api = raw.head("POST", "/v1/jobs", f"Authorization: Bearer {web.key}", "Content-Length: 100") + b"{"
    chunked = raw.head("POST", mine, "Transfer-Encoding: chunked") + b"10\r\n<R"
    with ThreadPoolExecutor() as clients:
        answers = list(
            clients.map(
                lambda parts: raw.exchange(web.port, *parts, timeout=60),
                ((stops,), (api,), (chunked,), _trickle(raw.head("POST", mine, "Content-Length: 1000"))),
            )
        )
    for answer in answers:
        assert (answer.status, answer.document["reason"]) == (408, "slow_body")


def _trickle(head: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(25):
        time.sleep(1)
        yield b" "
