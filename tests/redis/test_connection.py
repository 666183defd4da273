"""Clients for Redis, against a real server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ReadOnlyError

from app.redis.connection import connect, exchange
from harness.servers import Valkey, default_redis_timeout, free_port


class Address:
    """An address that leads new connections to ``target``, as a virtual address or a name of managed Redis does."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._links: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._links):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self._links += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Two servers."""
    found = free_port(), free_port()
    with ExitStack() as stack:
        for port in found:
            folder = tmp_path / str(port)
            folder.mkdir()
            stack.enter_context(Valkey(folder, "--port", str(port)))
        yield found


def _command(client: Redis) -> None:
    client.set("key", "value")


def _script(client: Redis) -> None:
    client.register_script("return redis.call('SET', 'key', 'value')")()


def _pipeline(client: Redis) -> None:
    pipe = client.pipeline()
    pipe.set("key", "value")
    pipe.execute()


def _exchange(client: Redis) -> None:
    answers: list[Any] = exchange(client, [("SET", "key", "value")])
    if isinstance(answers[0], Exception):
        raise answers[0]


@pytest.mark.parametrize("write", [_command, _script, _pipeline, _exchange])
def test_a_primary_that_has_moved_behind_its_address_is_found(
    ports: tuple[int, int], write: Callable[[Redis], None]
) -> None:
    """The former one still answers, as a replica: one write fails, and the next goes to the new one."""
    old, new = ports
    address = Address(old)
    client = connect(f"redis://127.0.0.1:{address.port}", timeout=10)
    write(client)
    Redis(port=old).replicaof("127.0.0.1", new)
    address.target = new
    with pytest.raises(ReadOnlyError):
        write(client)
    write(client)
    assert Redis(port=new).get("key") == b"value"
    address.close()


def test_a_client_that_blocks_on_purpose_is_not_cut_short(valkey: Valkey) -> None:
    """Whatever time-out the library has for clients that name none: the tail and the workers wait in silence."""
    silence = default_redis_timeout() + 0.5
    began = time.monotonic()
    assert not connect(valkey.url, timeout=None).xread({"nothing": "$"}, block=int(silence * 1000))
    assert time.monotonic() - began >= silence
