"""Redis behind Sentinel: a host that is gone, or was replaced, costs one time-out and not one for each connection."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from redis import Redis

from app.redis.connection import WritesRefused, connect
from app.store import UNAVAILABLE, Store
from app.store.events import tail as tails
from app.store.events.tail import Tail
from harness.servers import PATIENCE_S, Process, Valkey, eventually, free_port
from stack import valkey as embedded
from tests.store.samples import news

TIMEOUT_S = 0.5
LONG_S = 3.0
"""A time-out that is long beside what a busy machine adds, where the number of them is what is asserted."""


class Sentinel(Process):
    """A sentinel whose answer, which server is the primary, the test chooses."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        config = folder / "sentinel.conf"
        config.write_text(f'port {self.port}\nbind 127.0.0.1\ndir "{folder}"\n')
        super().__init__([embedded.binary(), str(config), "--sentinel"], folder / "sentinel.log")
        self.client = Redis("127.0.0.1", self.port)

    def start(self) -> None:
        super().start()
        eventually(self._answers, f"the sentinel: {self.text()}")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except UNAVAILABLE:
            return False

    def name(self, port: int) -> None:
        """From now on the primary is at that port."""
        if "chaos" in self.client.sentinel_masters():
            self.client.sentinel_remove("chaos")
        self.client.sentinel_monitor("chaos", "127.0.0.1", port, 1)
        self.client.sentinel_set("chaos", "down-after-milliseconds", 60_000)
        eventually(lambda: self.client.sentinel_get_master_addr_by_name("chaos"), "it to know")


class Server(Valkey):
    """One that is reached by TCP as well, as sentinels do."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        super().__init__(folder, "--port", str(self.port))


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Sentinel]:
    with Sentinel(tmp_path / "sentinel") as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Sentinel]:
    with Sentinel(tmp_path / "other") as running:
        yield running


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "old") as running:
        yield running


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "new") as running:
        yield running


@pytest.fixture
def deaf() -> Iterator[list[int]]:
    """Ports that take connections and never answer, like a host that is stalled or cut off."""
    with ExitStack() as stack:
        found = []
        for _ in range(3):
            listening = stack.enter_context(closing(socket.socket()))
            listening.bind(("127.0.0.1", 0))
            listening.listen(64)
            found.append(listening.getsockname()[1])
        yield found


def url(*ports: int) -> str:
    return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/chaos"


def seconds_to_fail(client: Redis) -> float:
    began = time.monotonic()
    with pytest.raises(UNAVAILABLE):
        client.ping()
    return time.monotonic() - began


def test_sentinels_that_do_not_answer_share_one_time_out(deaf: list[int]) -> None:
    """However many there are, and whatever steps a connection takes: a call is over in about REDIS_TIMEOUT."""
    assert seconds_to_fail(connect(url(*deaf), timeout=LONG_S)) < 3 * LONG_S


def test_sentinels_that_refuse_cost_no_time() -> None:
    """Their hosts are up and they are not: known at once."""
    assert seconds_to_fail(connect(url(free_port(), free_port()), timeout=30)) < 30


def test_one_sentinel_that_answers_is_enough(deaf: list[int], sentinel: Sentinel, new: Server) -> None:
    """Those that do not are waited for once, within the same time-out."""
    sentinel.name(new.port)
    client, began = connect(url(deaf[0], sentinel.port), timeout=LONG_S), time.monotonic()
    assert client.ping()
    assert time.monotonic() - began < 3 * LONG_S


def test_a_host_that_is_gone_costs_one_time_out(sentinel: Sentinel, old: Server, new: Server) -> None:
    """Many connections lead to that host. When one of them times out the others are closed, and the next call asks the
    sentinel again."""
    sentinel.name(old.port)
    client = connect(url(sentinel.port), timeout=LONG_S)
    hold_open(client, 8)
    old.signal(signal.SIGSTOP)
    sentinel.name(new.port)
    assert seconds_to_fail(client) < 3 * LONG_S
    assert client.info("server")["tcp_port"] == new.port
    old.signal(signal.SIGCONT)


def hold_open(client: Redis, count: int) -> None:
    """That many idle connections: each was busy at the same moment."""
    together = Barrier(count)

    def block() -> None:
        together.wait()
        client.blpop(["nothing"], timeout=0.2)

    threads = [Thread(target=block) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "write", [lambda store: store.presence.probe(), lambda store: store.durable.settle()]
)
def test_a_primary_that_was_replaced_without_knowing_is_left(
    write: Callable[[Store], object], sentinel: Sentinel, other: Sentinel, old: Server, new: Server
) -> None:
    """Cut off from its replicas, it says NOREPLICAS for as long as that lasts, and the sentinel beside it knows no
    better: the next call asks another one."""
    sentinel.name(old.port)
    store = Store.open(url(sentinel.port, other.port), "t:", timeout=LONG_S, durability="replicated")
    store.db.client.config_set("min-replicas-to-write", 1)
    other.name(new.port)
    with pytest.raises(WritesRefused):
        write(store)
    write(store)
    assert store.db.client.info("server")["tcp_port"] == new.port


def test_a_listener_survives_the_loss_of_its_redis_host(
    old: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blocking reader cannot notice a host that vanishes; it has a time-out all the same."""
    monkeypatch.setattr(tails, "_BLOCK_MS", 500)
    tail = Tail(old.url, "t:", TIMEOUT_S)
    tail.wait("j1", 0.1, lambda: False)
    old.signal(signal.SIGSTOP)
    with Valkey(tmp_path) as moved:
        moved.socket.rename(old.socket)
        store = Store.open(old.url, "t:", timeout=2)
        time.sleep(4 * TIMEOUT_S)
        woken: list[float] = []
        waiting = Thread(target=lambda: tail.wait("j1", PATIENCE_S, lambda: bool(woken)))
        waiting.start()
        time.sleep(0.3)
        woken.append(time.monotonic())
        store.acceptor.accept(news("j1"))
        waiting.join(PATIENCE_S / 2)
        assert not waiting.is_alive()
    tail.close()
    old.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("hosts", "addresses"),
    [
        ("sentinel1", [("sentinel1", 26379)]),
        ("a:1,b", [("a", 1), ("b", 26379)]),
        ("me:p%40ss@[::1]:7,[fe80::1]", [("::1", 7), ("fe80::1", 26379)]),
        (":7", [("127.0.0.1", 7)]),
    ],
)
def test_how_sentinels_are_named(hosts: str, addresses: list[tuple[str, int]]) -> None:
    """A port may be missing; an IPv6 address stands in brackets, which are no part of it."""
    client: Any = connect(f"redis+sentinel://{hosts}/main", timeout=1)
    sentinels = client.connection_pool.sentinel_manager.sentinels
    found = [each.connection_pool.connection_kwargs for each in sentinels]
    assert [(each["host"], each["port"]) for each in found] == addresses
