"""Connections are used again: a dead one costs no call, and no answer reaches a call that did not ask for it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import TimeoutError  # noqa: A004

from app.redis.connection import connect
from harness.servers import Valkey


def test_a_connection_that_the_server_has_closed_costs_no_call(valkey: Valkey) -> None:
    client = connect(valkey.url, timeout=5)
    first = client.client_id()
    Redis.from_url(valkey.url).client_kill_filter(_id=str(first))
    assert client.ping()
    assert client.client_id() != first


def test_one_connection_serves_calls_that_come_one_after_the_other(valkey: Valkey) -> None:
    client = connect(valkey.url, timeout=5)
    pipe = client.pipeline()
    pipe.client_id()
    assert {client.client_id(), client.client_id(), *pipe.execute()} == {client.client_id()}


def test_calls_at_the_same_time_have_connections_of_their_own(valkey: Valkey) -> None:
    client = connect(valkey.url, timeout=5)
    waiting = threading.Thread(target=client.blpop, args=("no-such-list", 1))
    waiting.start()
    try:
        assert all(client.echo(f"{n}") == f"{n}".encode() for n in range(100))
    finally:
        waiting.join()


def test_an_answer_that_came_too_late_reaches_no_later_call(valkey: Valkey) -> None:
    client = connect(valkey.url, timeout=2)
    client.ping()
    with pytest.raises(TimeoutError):
        client.blpop("no-such-list", 10)
    assert [client.echo(f"{n}") for n in range(3)] == [b"0", b"1", b"2"]


def test_a_forked_process_has_connections_of_its_own(valkey: Valkey) -> None:
    client = connect(valkey.url, timeout=5)
    mine = client.client_id()
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, str(client.client_id()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 100)) != mine
    assert client.client_id() == mine


def test_no_call_fails_after_the_server_was_started_again(tmp_path: Path) -> None:
    """Every idle connection is dead then, and each is replaced by the call that finds it."""
    with Valkey(tmp_path) as server, ThreadPoolExecutor(4) as callers:
        client = connect(server.url, timeout=5)

        def wait(_: int) -> object:
            return client.blpop("no-such-list", 0.3)

        assert list(callers.map(wait, range(4))) == [None] * 4
        server.kill()
        server.start()
        assert list(callers.map(wait, range(4))) == [None] * 4
