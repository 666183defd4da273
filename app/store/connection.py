"""How to reach Redis or Valkey: one address, alone or behind Sentinel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, OutOfMemoryError, ReadOnlyError, TimeoutError  # noqa: A004
from redis.retry import Retry
from redis.sentinel import Sentinel

# What Redis says while it cannot keep anything: away, stalled, loading, full, or a replica after a failover.
UNAVAILABLE = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError)


@dataclass(frozen=True, slots=True)
class Database:
    """A client and the prefix of all of our keys in it."""

    client: Redis
    prefix: str

    def key(self, *parts: str) -> str:
        return self.prefix + ":".join(parts)


def connect(url: str, *, timeout: float | None) -> Redis:
    """A client for ``url``. ``timeout`` (seconds) bounds each call; ``None`` for clients that block on purpose."""
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout or 5.0,
        "health_check_interval": 30,
    }
    # One try a call: whoever asks decides what a failure means. A dropped connection is opened anew by the next call.
    retry = Retry(NoBackoff(), 1)
    if urlsplit(url).scheme == "redis+sentinel":
        return _behind_sentinel(url, options, retry)
    return Redis.from_url(url, retry=retry, **options)


def _behind_sentinel(url: str, options: dict[str, Any], retry: Retry) -> Redis:
    parts = urlsplit(url)
    hosts, _, _ = parts.netloc.rpartition("@")[2].partition("/")
    addresses = [
        (host or "127.0.0.1", int(port or 26379))
        for host, _, port in (h.rpartition(":") for h in hosts.split(","))
    ]
    service, _, number = parts.path.strip("/").partition("/")
    credentials = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    sentinel = Sentinel(addresses, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for(service, db=int(number or 0), retry=retry, **credentials, **options)  # type: ignore[no-untyped-call]
    return master
