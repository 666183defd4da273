"""Ways in which Redis cannot store a callback, and what the receiver has stored afterwards."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from app.spool import SUFFIX
from app.web.services import WebServices
from harness.servers import Valkey
from harness.settings import make_settings

Trouble = Callable[[Valkey], AbstractContextManager[None]]


@contextmanager
def killed(server: Valkey) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def stalled(server: Valkey) -> Iterator[None]:
    server.signal(signal.SIGSTOP)
    yield
    server.signal(signal.SIGCONT)


@contextmanager
def configured(server: Valkey, wrong: list[str], right: list[str]) -> Iterator[None]:
    client = WebServices.open(make_settings(server.url), timeout=60).store.db.client
    client.execute_command(*wrong)  # type: ignore[no-untyped-call]
    yield
    client.execute_command(*right)  # type: ignore[no-untyped-call]


def full(server: Valkey) -> AbstractContextManager[None]:
    return configured(server, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"])


def read_only(server: Valkey) -> AbstractContextManager[None]:
    return configured(server, ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"])


def unfollowed(server: Valkey) -> AbstractContextManager[None]:
    few = ["CONFIG", "SET", "min-replicas-to-write"]
    return configured(server, [*few, "1"], [*few, "0"])


TROUBLES: list[Trouble] = [killed, stalled, full, read_only, unfollowed]


def history(ours: WebServices, job_id: str) -> list[dict[str, object]]:
    entries, _ = ours.store.jobs.history(job_id)
    return list(entries)


def drained(ours: WebServices) -> bool:
    """Nothing is pending, and nothing is set aside."""
    assert ours.spool is not None
    return not list(ours.spool.folder.glob(f"*{SUFFIX}")) and not ours.spool.set_aside().records
