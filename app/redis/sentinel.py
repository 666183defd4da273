"""A client that asks sentinels for the primary: ``redis+sentinel://host:port,host:port/service/db?sentinel_password=…``.

https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from app.redis.outage import SentinelRefused
from app.redis.pool import SentinelPool
from app.settings.redis_urls import sentinels_in

C = TypeVar("C", bound=Redis)

_DEFAULT_PORT = 26379


def connect_behind_sentinel(url: str, client: type[C], retry: Retry, options: Mapping[str, Any]) -> C:
    """``options`` are redis-py's for each connection, ``socket_connect_timeout`` (seconds) among them."""
    parts = urlsplit(url)
    addresses = [(host or "127.0.0.1", port or _DEFAULT_PORT) for host, port in sentinels_in(url)]
    service, _, number = parts.path.strip("/").partition("/")
    asking = _options_for_asking(parts, options, len(addresses))
    sentinel = _Sentinels(addresses, sentinel_kwargs=asking, **options)  # type: ignore[no-untyped-call]
    primary: C = sentinel.master_for(  # type: ignore[no-untyped-call]
        service,
        redis_class=client,
        connection_pool_class=SentinelPool,
        db=int(number or 0),
        retry=retry,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        **options,
    )
    return primary


def ask_another_sentinel(pool: ConnectionPool) -> None:
    """A primary without replicas may have been replaced without knowing it, and its sentinel may not know either: ask
    another sentinel first."""
    if isinstance(pool, SentinelConnectionPool):
        sentinels = pool.sentinel_manager.sentinels
        sentinels[:] = sentinels[1:] + sentinels[:1]
        pool.disconnect(inuse_connections=False)


_MISSING = "a sentinel requires a password (NOAUTH): add ?sentinel_password=… to REDIS_URL"
_WRONG = "a sentinel refuses its name or password (WRONGPASS): correct sentinel_… behind the ? of REDIS_URL"


class _Sentinels(Sentinel):
    def discover_master(self, service_name: str) -> Any:
        try:
            return super().discover_master(service_name)  # type: ignore[no-untyped-call]
        except MasterNotFoundError as error:
            # The library's own message is kilobytes of settings, and would be in the log for every call. It is also
            # the only place that names the error of each sentinel.
            if "AuthenticationError" in str(error):
                given = self.sentinel_kwargs.get("password")
                raise SentinelRefused(_WRONG if given else _MISSING) from None
            raise MasterNotFoundError(f"no sentinel names a primary of {service_name!r} now") from None


def _options_for_asking(parts: SplitResult, options: Mapping[str, Any], sentinels: int) -> dict[str, Any]:
    given = dict(parse_qsl(parts.query))
    credentials = {name: given.get(f"sentinel_{name}") for name in ("username", "password")}
    # They are asked one after the other: together they may take as long as one call may.
    patience = options["socket_connect_timeout"] / sentinels
    return {
        **options,
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        # The library's default is three retries with pauses of seconds for each step.
        "retry": Retry(NoBackoff(), 0),
        **{name: value for name, value in credentials.items() if value},
    }
