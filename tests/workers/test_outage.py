"""Redis cannot be used: every process logs the reason once, and the end once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.services import Services
from harness.servers import Process, Service, Valkey, eventually, free_port
from harness.settings import make_settings

OUTAGE_S = 6.0
PASSWORD = "the-password-of-redis"


class Guarded(Valkey):
    """A server with a password, which an operator may change while it runs."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(folder, "--port", str(self.port), "--requirepass", PASSWORD)

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}"

    def client(self, password: str = PASSWORD) -> Redis:
        return Redis("127.0.0.1", self.port, password=password)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Guarded]:
    (tmp_path / "redis").mkdir()
    with Guarded(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def service(server: Guarded, tmp_path: Path) -> Iterator[Service]:
    settings = make_settings(server.url, check_outputs=False, spool_dir=str(tmp_path / "spool"))
    with Service(settings, free_port(), tmp_path, WEB_CONCURRENCY="1") as running:
        yield running


def stop(server: Guarded) -> None:
    server.kill()


def change_password(server: Guarded) -> None:
    # At once: a process that connects in between would log an outage, and its other connections the end of it.
    pipe = server.client().pipeline(transaction=True)
    pipe.config_set("requirepass", "another")
    pipe.client_kill_filter(_type="normal")
    pipe.execute()


def restart(server: Guarded) -> None:
    server.start()


def change_back(server: Guarded) -> None:
    server.client("another").config_set("requirepass", PASSWORD)


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [(stop, restart, "Redis is away"), (change_password, change_back, "WRONGPASS")],
    ids=["away", "wrong password"],
)
def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    begin: Callable[[Guarded], None],
    end: Callable[[Guarded], None],
    words: str,
    service: Service,
    server: Guarded,
) -> None:
    """Web, relay and worker log the reason once, not at each call, and without a traceback; no process ends, and all go
    on afterwards."""
    before = {process: process.text() for process in service.processes}

    def said(process: Process, word: str) -> int:
        return process.text().removeprefix(before[process]).count(word)

    begin(server)
    until = time.monotonic() + OUTAGE_S
    while time.monotonic() < until:
        service.ready()
        time.sleep(0.1)
    for process in service.processes:
        eventually(lambda p=process: said(p, words), f"{words}: {process.text()}")  # type: ignore[misc]
    end(server)
    eventually(lambda: service.ready().get("status") == "ok", "all to be well again")
    for process in service.processes:
        eventually(lambda p=process: said(p, "is available again"), f"the end: {process.text()}")  # type: ignore[misc]
        # A call that failed before the end may be reported after it: a second outage, of a moment.
        eventually(
            lambda p=process: said(p, "logged again only when it ends") == said(p, "is available again"),  # type: ignore[misc]
            f"an end of each outage: {process.text()}",
        )
        new = process.text().removeprefix(before[process])
        assert said(process, words) <= 2 and said(process, "is available again") <= 2, new
        assert not any(word in new for word in ("Traceback", "has ended", PASSWORD)), new


def test_workers_that_start_with_a_wrong_password_wait(server: Guarded, tmp_path: Path) -> None:
    """Worker and relay log the reason and do not restart; when the password is right they serve."""
    change_password(server)
    settings = make_settings(server.url, check_outputs=False)
    service = Service(settings, free_port(), tmp_path)
    with contextlib.ExitStack() as running:
        for process in (service.worker, service.relay):
            running.enter_context(process)
        eventually(lambda: "ready" in service.worker.text() and "ready" in service.relay.text(), "the start")
        for process in (service.worker, service.relay):
            eventually(lambda p=process: "WRONGPASS" in p.text(), "what is wrong")  # type: ignore[misc]
        time.sleep(OUTAGE_S / 2)  # a repeated line would come in this time
        for process in (service.worker, service.relay):
            assert process.text().count("\n") <= 6, process.text()
            assert "Traceback" not in process.text() and "has ended" not in process.text()
        change_back(server)
        seen = Services.open(settings, timeout=5).store.presence.seen
        eventually(lambda: seen("worker") and seen("relay"), "them to be there")
