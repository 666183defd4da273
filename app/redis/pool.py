"""Connection pools that reuse an idle connection without polling whether it is still open.

redis-py polls before each command, which under gevent takes longer than the command (docs/performance.md). Here a
connection that the server has closed fails at its first use, and the client of ``connection.connect`` repeats the call
once on a new one. A connection with an unread answer is never reused: the code that left it so has disconnected it.
"""

from __future__ import annotations

import os
from typing import Any

from redis.connection import ConnectionPool
from redis.sentinel import SentinelConnectionPool, SentinelManagedConnection


class Pool(ConnectionPool):
    """For ``redis://``, ``rediss://`` and ``unix://``. To the library the ``_idle`` ones are in use."""

    def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        if self.pid == os.getpid():  # Else the library starts afresh in a forked process.
            try:
                connection = self._idle.pop()
            except IndexError:
                pass
            else:
                if connection.is_connected:
                    return connection
                super().release(connection)
        return super().get_connection()

    def release(self, connection: Any) -> None:
        if connection.is_connected and self.owns_connection(connection) and not connection.should_reconnect():
            self._idle.append(connection)
        else:
            super().release(connection)

    def disconnect(self, inuse_connections: bool = True) -> None:
        while True:
            try:
                super().release(self._idle.pop())
            except IndexError:
                break
        super().disconnect(inuse_connections)

    def reset(self) -> None:
        self._idle: list[Any] = []
        super().reset()


class _SentinelConnection(SentinelManagedConnection):
    """Disconnects if it could not read an answer to its end, as the library's other connections do."""

    def read_response(
        self, disable_decoding: bool = False, *, disconnect_on_error: bool | None = True, **options: Any
    ) -> Any:
        return super().read_response(disable_decoding, disconnect_on_error=disconnect_on_error, **options)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:
            # Asks the sentinels; the library would go back to the last address.
            self.connect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


class SentinelPool(Pool, SentinelConnectionPool):
    """For ``redis+sentinel://``: connections to a former primary are not handed out either."""

    def __init__(self, service_name: str, sentinel_manager: Any, **options: Any) -> None:
        options["connection_class"] = _SentinelConnection
        super().__init__(service_name, sentinel_manager, **options)  # type: ignore[no-untyped-call]
