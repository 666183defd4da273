"""``exchange``: several commands in one round trip, each with its own answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError, TimeoutError  # noqa: A004

from app.redis.breaker import Breaker
from app.redis.connection import connect, exchange
from app.redis.outage import Outage
from harness.servers import Valkey
from harness.settings import make_settings


class _OfThisThread(Outage):
    """Threads that other tests have left behind may lose their servers at any time."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def failed(self, error: Exception) -> None:
        if threading.get_ident() == self._thread:
            super().failed(error)


@pytest.fixture(autouse=True)
def outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of this test alone: the process's would go on after it."""
    monkeypatch.setattr("app.redis.connection.OUTAGE", _OfThisThread())


@pytest.fixture
def client(valkey: Valkey) -> Redis:
    return connect(valkey.url, timeout=5, breaker=Breaker(pause_s=0))


def test_answers_come_in_order_errors_among_them(client: Redis) -> None:
    """A command that fails costs the others nothing, and the connection answers the next ones."""
    key = make_settings("redis://x").key_prefix + "exchange"
    for _ in range(2):
        answers = exchange(client, [("SET", key, "ä"), ("LPUSH", key, "x"), ("GET", key), ("DEL", key)])
        assert isinstance(answers[1], ResponseError)
        assert str(answers[1]).startswith("WRONGTYPE")
        assert [answers[0], *answers[2:]] == [b"OK", "ä".encode(), 1]


def test_a_connection_that_the_server_closed_is_replaced(client: Redis) -> None:
    (mine,) = exchange(client, [("CLIENT", "ID")])
    client.client_kill_filter(_id=str(mine), skipme=False)
    assert exchange(client, [("ECHO", "a"), ("ECHO", "b")]) == [b"a", b"b"]


def test_an_answer_that_comes_too_late_is_dropped(valkey: Valkey) -> None:
    """After a time-out the connection is closed: a later call must not read the answer to an earlier one."""
    client = connect(valkey.url, timeout=2, breaker=Breaker(pause_s=0))
    key = make_settings("redis://x").key_prefix + "late"
    with pytest.raises(TimeoutError):
        exchange(client, [("BLPOP", key, "0"), ("ECHO", "early")])
    assert exchange(client, [("RPUSH", key, "late"), ("DEL", key)]) == [1, 1]
    assert exchange(client, [("ECHO", "a")]) == [b"a"]


def test_a_time_out_opens_the_breaker_and_is_an_outage(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = Breaker(pause_s=60)
    client = connect(valkey.url, timeout=0.3, breaker=breaker)
    with pytest.raises(TimeoutError):
        exchange(client, [("BLPOP", make_settings("redis://x").key_prefix + "none", "0")])
    assert not breaker.allows()
    assert "Redis did not answer in time" in caplog.text


def test_a_full_server_is_an_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its refusal is an answer among the others, and is noted as that of a pipeline is."""
    with Valkey(tmp_path, "--maxmemory", "1") as server:
        client = connect(server.url, timeout=5)
        exchange(client, [("PING",)])
        (answer,) = exchange(client, [("SET", "a", "b")])
        assert isinstance(answer, OutOfMemoryError)
        assert "no memory left (OOM)" in caplog.text
