"""When both clients ask again, and when they give up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

import pytest
from ci_receiver_client import AsyncClient, Client, Job, NotEnded, Unreachable, connecting

from harness.servers import Service, free_port
from tests.workers.news import tell


class Waits(Protocol):
    def __call__(self, url: str, key: str, job_id: str, timeout: float) -> Job: ...


def _waits(url: str, key: str, job_id: str, timeout: float) -> Job:
    with Client(url, key) as client:
        return client.wait(job_id, timeout)


def _waits_in_a_loop(url: str, key: str, job_id: str, timeout: float) -> Job:
    async def program() -> Job:
        async with AsyncClient(url, key) as client:
            return await client.wait(job_id, timeout)

    return asyncio.run(program())


def _hears(url: str) -> None:
    with Client(url, "key") as client:
        next(client.events())


def _hears_in_a_loop(url: str) -> None:
    async def program() -> None:
        async with AsyncClient(url, "key") as client:
            await anext(aiter(client.events()))

    asyncio.run(program())


both_wait = pytest.mark.parametrize("wait", [_waits, _waits_in_a_loop])
both_hear = pytest.mark.parametrize("hear", [_hears, _hears_in_a_loop])


@contextmanager
def busy() -> Iterator[tuple[str, list[str]]]:
    """A service that answers everything with 429 and an hour's ``Retry-After``: its URL, and the paths asked for."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b'{"status": 429, "reason": "too_many_requests"}'
            self.send_response(429)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Retry-After", "3600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


@both_wait
def test_a_busy_service_is_not_asked_before_retry_after(wait: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking it each second would keep it busy."""
    monkeypatch.setattr(connecting, "PAUSE_S", 0.01)
    with busy() as (url, asked):
        with pytest.raises(NotEnded):
            wait(url, "key", "j1", timeout=2)
        assert len(asked) == 1


@both_wait
def test_no_time_to_wait_is_one_question(wait: Waits, running: Service) -> None:
    """A job that has ended is returned; of another the error has the state."""
    ended, _ = tell(running.services)
    assert wait(running.url, running.key, ended, timeout=0).state == "Success"
    unended, _ = tell(running.services, "Running", EndTime=None)
    with pytest.raises(NotEnded) as raised:
        wait(running.url, running.key, unended, timeout=0)
    assert raised.value.job is not None and raised.value.job.state == "Running"


@both_hear
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_stream_that_never_connected_is_unreachable(hear: Callable[[str], None], host: str) -> None:
    """It does not try a wrong host without end."""
    with pytest.raises(Unreachable, match="check the URL"):
        hear(f"http://{host}:{free_port()}")
