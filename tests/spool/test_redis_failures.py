"""Which failures of Redis set a record aside: not a slow Redis, missing rights or an open breaker."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket
from typing import Literal

import pytest

from app.redis.breaker import Breaker
from app.services import Services
from app.spool.aside import RECORDS
from app.spool.record import encode_record
from app.spool.replay import Away, Replay
from harness.servers import Valkey, eventually
from harness.settings import make_settings
from tests.spool.home import Home
from tests.store.samples import news

Fate = Literal["pass", "drop", "break"]


@contextmanager
def behind(server: Valkey, fate_of: Callable[[bytes], Fate]) -> Iterator[str]:
    """Redis behind a proxy that passes or drops each packet, or breaks the connection, as ``fate_of`` says."""
    place = str(server.socket) + "p"
    listener = socket(AF_UNIX, SOCK_STREAM)
    listener.bind(place)
    listener.listen()

    def pump(source: socket, target: socket) -> None:
        while (data := _received(source)) and (fate := fate_of(data)) != "break":
            with suppress(OSError):
                if fate == "pass":
                    target.sendall(data)
        for each in (source, target):
            _shut(each)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            redis = socket(AF_UNIX, SOCK_STREAM)
            redis.connect(str(server.socket))
            for way in ((client, redis), (redis, client)):
                threading.Thread(target=pump, args=way, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"unix://{place}"
    _shut(listener)
    listener.close()


def _received(source: socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _shut(each: socket) -> None:
    with suppress(OSError):
        each.shutdown(SHUT_RDWR)


def test_a_record_that_redis_fails_for_again_and_again(tmp_path: Path) -> None:
    """The connection breaks at each write of one record: in the third step it is set aside, and the others are
    drained."""
    with (
        Valkey(tmp_path) as server,
        behind(server, lambda data: "break" if b"jdeadly" in data else "pass") as url,
    ):
        home = Home(Services.open(make_settings(url), timeout=5).store, tmp_path / "spool")
        home.put(encode_record(news("jdeadly")), encode_record(news("jgood")))
        for _ in range(2):
            with pytest.raises(Away):
                home.drainer.step()
            assert not home.files(RECORDS)
        home.drainer.step()
        assert home.outcomes("jgood") == ["accepted"]
        assert home.spool.set_aside().records == 1


def test_a_slow_redis_sets_no_record_aside(tmp_path: Path) -> None:
    """Five writes of one job time out while others are answered, as on a busy machine: nothing is set aside, so the
    job's reports keep their order."""
    unanswered = iter(range(5))

    def fate_of(data: bytes) -> Fate:
        return "drop" if b"jslow" in data and next(unanswered, None) is not None else "pass"

    with Valkey(tmp_path) as server, behind(server, fate_of) as url:
        home = Home(Services.open(make_settings(url), timeout=0.5).store, tmp_path / "spool")
        home.put(*(encode_record(news("jslow", state)) for state in ("Success", "Running", "Success")))

        def is_drained() -> bool:
            with suppress(Away):
                home.drainer.step()
            return not home.files()

        eventually(is_drained, "the spool to be drained")
        outcomes = home.outcomes("jslow")
        # An answer that came too late adds more: the records that it was for are replayed.
        assert outcomes[0] == "accepted" and outcomes.count("accepted") == 1, "Success came first"
        assert set(outcomes[1:]) == {"stale", "duplicate"}
        assert "set_aside" not in home.said


def test_a_record_that_is_never_answered_delays_the_others_for_a_bounded_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside after thirty time-outs. A time-out of another record does not reset the count."""
    unanswered = iter(range(2))

    def fate_of(data: bytes) -> Fate:
        slow = b"jslow" in data or (b"jgood" in data and next(unanswered, None) is not None)
        return "drop" if slow else "pass"

    with Valkey(tmp_path) as server, behind(server, fate_of) as url:
        home = Home(Services.open(make_settings(url), timeout=0.2).store, tmp_path / "spool")
        home.put(encode_record(news("jslow")), encode_record(news("jgood")))

        def is_set_aside() -> bool:
            with suppress(Away):
                home.drainer.step()
            return home.spool.set_aside().records == 1 and not home.files()

        eventually(is_set_aside, "the record to be set aside")
        outcomes = home.outcomes("jgood")
        assert outcomes[0] == "accepted" and set(outcomes[1:]) <= {"duplicate"}
        times = [int(each) for each in re.findall(r"Redis failed (\d+) times for this record", caplog.text)]
        assert len(times) >= 3
        assert times == list(range(30, 30 + len(times)))


def test_a_call_that_the_breaker_blocked_does_not_count(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's time-out opens the breaker before the record is written, fifty times."""
    breaker = Breaker(pause_s=3600)
    monkeypatch.setattr(home.store.db.client, "breaker", breaker)
    replay = Replay(home.store.acceptor, home.store.refusals, lambda _: None, frozenset())
    place = (home.spool.folder / "one", 10)
    for _ in range(50):
        breaker.failed()
        with pytest.raises(Away):
            replay.record(encode_record(news("j1")), place)
    breaker.succeeded()
    assert replay.record(encode_record(news("j1")), place) is None
    assert home.outcomes("j1") == ["accepted"]


def test_missing_rights_set_no_record_aside(tmp_path: Path) -> None:
    """While the Redis user may not write, every record stays pending."""
    with Valkey(tmp_path) as server:
        whole = Services.open(make_settings(server.url), timeout=5)
        for name, rights in (
            ("noeval", "-evalsha -eval"),
            ("nohset", "-hset"),
            ("nokeys", "resetkeys ~none:*"),
        ):
            command = f"ACL SETUSER {name} on nopass ~* &* +@all {rights}".split()
            whole.store.db.client.execute_command(*command)  # type: ignore[no-untyped-call]
            url = f"unix://{name}:any@{server.socket}"
            poor = Home(Services.open(make_settings(url), timeout=5).store, tmp_path / name)
            poor.put(encode_record(news("j1")))
            with pytest.raises(Away):
                poor.drainer.step()
            assert not poor.files(RECORDS), name
            assert len(poor.files()) == 1
