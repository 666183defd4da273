"""Clients for Redis or Valkey, and which of their errors mean that Redis is unavailable."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.connection import ConnectionPool
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from app.redis.breaker import Breaker
from app.redis.outage import OUTAGE
from app.redis.pool import Pool
from app.redis.sentinel import ask_another_sentinel, connect_behind_sentinel

T = TypeVar("T")


class WritesRefused(ResponseError):
    """The server answers but refuses writes: its disk fails, it has too few replicas, or a script blocks it."""


class MayNotAsk(ResponseError):
    """This user may not use INFO or CONFIG GET (ACL); callers do without."""


class NotAsked(ConnectionError):
    """The breaker is open: Redis did not answer a moment ago, and this call was not sent."""


# The errors of a Redis that cannot store anything: unreachable, stalled, loading, full, demoted to a replica, or
# refusing this user's login or writes.
UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    MasterDownError,
    NoPermissionError,
    WritesRefused,
)

# redis-py raises a plain ResponseError for these. In a pipeline it puts a sentence before the server's words.
_WRITE_REFUSALS = re.compile(
    r"(?:^|caused error: )(MISCONF|NOREPLICAS|BUSY|UNKILLABLE|MASTERDOWN|NOTREADY|ACL failure in script:) "
)


def connect(url: str, *, timeout: float | None, breaker: Breaker | None = None) -> Redis:
    """A client for ``url``. ``timeout`` (seconds) bounds each call; ``None`` for clients that block on purpose.

    With a ``breaker``, calls fail at once for a moment after one that got no answer.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout or 5.0,
        "health_check_interval": 30,
        # The library would look up its own version on the disk for each connection (in each child of a worker), and
        # send it in two round trips.
        "driver_info": None,
    }
    retry = _Once(NoBackoff(), 1, supported_errors=(ConnectionError,))
    if urlsplit(url).scheme == "redis+sentinel":
        client: Redis = connect_behind_sentinel(url, _Client, retry, options)
    else:
        client = _Client.from_pool(Pool.from_url(url, retry=retry, **options))
    if isinstance(client, _Client):
        client.breaker = breaker
    return client


def as_write_refusal(error: Exception) -> Exception:
    """``WritesRefused`` if the server's message means that; else the same error."""
    if type(error) is ResponseError and (found := _WRITE_REFUSALS.search(str(error))):
        return WritesRefused(f"{found[1]}: {error}")
    return error


class _Once(Retry):
    """Reconnects once if the server dropped the connection; never retries a call that timed out."""

    def call_with_retry(
        self, do: Callable[[], T], fail: Any, is_retryable: Any = None, with_failure_count: bool = False
    ) -> T:
        # All sentinels have been asked by then, each with its own timeout: another round would double the wait.
        return super().call_with_retry(do, fail, _primary_was_found, with_failure_count)


def _primary_was_found(error: Exception) -> bool:
    return not isinstance(error, MasterNotFoundError)


class _Client(Redis):
    """Raises ``WritesRefused`` and ``MayNotAsk``, reports outages, and has a breaker."""

    breaker: Breaker | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        send = super().execute_command if options else self._exchange

        def call() -> Any:
            try:
                return send(*args, **options)
            except NoPermissionError as error:
                if args[0] in {"INFO", "CONFIG GET"}:
                    raise MayNotAsk(str(error)) from None
                raise

        return call_redis(self.breaker, self.connection_pool, call)

    def _exchange(self, *args: Any) -> Any:
        """One command and its answer, without the library's own metrics."""
        connection = self.connection_pool.get_connection()
        try:
            return connection.retry.call_with_retry(
                lambda: self._send_command_parse_response(connection, args[0], *args),  # type: ignore[no-untyped-call]
                lambda _: connection.disconnect(),  # type: ignore[no-untyped-call]
            )
        finally:
            self.connection_pool.release(connection)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        pipe = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.breaker = self.breaker
        return pipe


class _Pipeline(Pipeline):
    breaker: Breaker | None = None

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        send = super().execute
        answers = call_redis(self.breaker, self.connection_pool, lambda: send(raise_on_error))
        _note_refusals(self.connection_pool, answers)
        return answers


def exchange(client: Redis, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """The raw answers of these commands, errors included, in one round trip. Like a pipeline with
    ``raise_on_error=False``, in half of its time."""
    pool = client.connection_pool
    breaker = client.breaker if isinstance(client, _Client) else None

    def send() -> list[Any]:
        connection: Any = pool.get_connection()
        try:
            packed = connection.pack_commands(commands)
            answers: list[Any] = connection.retry.call_with_retry(
                lambda: _exchanged(connection, packed, len(commands)), lambda _error: connection.disconnect()
            )
            return answers
        finally:
            pool.release(connection)

    answers = call_redis(breaker, pool, send)
    _note_refusals(pool, answers)
    return answers


def _exchanged(connection: Any, packed: Any, count: int) -> list[Any]:
    connection.send_packed_command(packed)
    answers: list[Any] = []
    for _ in range(count):
        try:
            answers.append(connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


def _note_refusals(pool: ConnectionPool, answers: Sequence[Any]) -> None:
    for each in answers:
        if isinstance(each, Exception):
            _note_refusal(pool, as_write_refusal(each))


def _note_refusal(pool: ConnectionPool, error: Exception) -> None:
    if isinstance(error, WritesRefused):
        ask_another_sentinel(pool)
    if isinstance(error, ReadOnlyError):
        # Behind an address that has moved (managed Redis, DNS), idle connections would stay with the former primary.
        pool.disconnect(inuse_connections=False)
    if isinstance(error, UNAVAILABLE):
        OUTAGE.failed(error)


def call_redis(breaker: Breaker | None, pool: ConnectionPool, call: Callable[[], T]) -> T:
    """``call()`` once the breaker has a turn for it. Raises ``NotAsked`` if the breaker is open. A call without an
    answer opens the breaker."""
    if breaker is None:
        return _call_redis(breaker, pool, call)
    breaker.turns.get()
    try:
        return _call_redis(breaker, pool, call)
    finally:
        breaker.turns.put(None)


def _call_redis(breaker: Breaker | None, pool: ConnectionPool, call: Callable[[], T]) -> T:
    if breaker and not breaker.allows():
        raise NotAsked("Redis did not answer a moment ago, so it was not asked now")
    try:
        answer = call()
    except (ConnectionError, TimeoutError) as error:
        OUTAGE.failed(error)
        # Idle connections lead to the same host: if it is gone, each would cost a caller another timeout.
        pool.disconnect(inuse_connections=False)
        if breaker:
            breaker.failed()
        raise
    except ResponseError as error:
        _answered(breaker)
        found = as_write_refusal(error)
        _note_refusal(pool, found)
        raise found from error
    _answered(breaker)
    OUTAGE.succeeded()
    return answer


def _answered(breaker: Breaker | None) -> None:
    if breaker:
        breaker.succeeded()
