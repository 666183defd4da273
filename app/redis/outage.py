"""Outages of Redis: one log line at the start, one at the end, and a message that names the cause."""

from __future__ import annotations

import logging
import threading
import time

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,  # noqa: A004
)
from redis.sentinel import MasterNotFoundError

log = logging.getLogger(__name__)

_QUIET_S = 10.0
"""A server that refuses writes still answers reads, so the outage ends after this many seconds without a refusal."""


class SentinelRefused(AuthenticationError):
    """A sentinel requires a name and a password, or rejects the given ones."""


def cause(error: BaseException) -> str:
    """What happened and what to do, in one sentence that holds no secret."""
    text = _first_line(str(error))
    if isinstance(error, SentinelRefused):
        return text
    if isinstance(error, AuthenticationError):
        return _cause_of_authentication(text)
    if isinstance(error, NoPermissionError):
        return (
            f"Redis refuses a right to this user (NOPERM): {text}. Grant it; docs/deploy.md lists all rights"
        )
    if isinstance(error, MasterNotFoundError):
        return f"Redis is away: {text}"
    known = (words for kind, words in _WORDS.items() if isinstance(error, kind))
    return next(known, f"Redis takes no writes: {text}")


def _cause_of_authentication(text: str) -> str:
    if _wants_password(text):
        return "Redis requires a password and REDIS_URL has none (NOAUTH): add it to REDIS_URL"
    if "without any password" in text:
        return "Redis has no password and REDIS_URL has one: remove it from REDIS_URL, or set requirepass in Redis"
    return "Redis refuses the name or the password in REDIS_URL (WRONGPASS): correct REDIS_URL"


def _wants_password(text: str) -> bool:
    """Whether this message means NOAUTH: redis-py removes the word itself."""
    return any(word in text for word in ("NOAUTH", "Authentication required", "already authenticated"))


_WORDS: dict[type[Exception], str] = {
    BusyLoadingError: "Redis is loading its data (LOADING): wait until it has finished",
    OutOfMemoryError: "Redis has no memory left (OOM): raise maxmemory, or shorten RETENTION_JOBS",
    ReadOnlyError: "this Redis is a replica (READONLY): REDIS_URL must lead to the primary",
    TimeoutError: "Redis did not answer in time (TimeoutError)",
    ConnectionError: "Redis is away (ConnectionError): is REDIS_URL right, and does the server run",
}


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0][:200].rstrip(".")


class Outage:
    """One per process: clients report how their calls ended. Logs only the start and the end of an outage.

    ``silent`` is for processes whose parent logs the outage.
    """

    def __init__(self) -> None:
        self.silent = False
        self.affects = ""
        """What this process cannot do during an outage, for the log."""
        self._lock = threading.Lock()
        self._cause = ""
        self._began = 0.0
        self._last = 0.0
        self._quiet_s = 0.0

    @property
    def cause(self) -> str:
        """The cause of the present outage, or empty."""
        return self._cause

    def failed(self, error: Exception) -> None:
        """A call failed because Redis is unavailable."""
        now, found = time.monotonic(), cause(error)
        with self._lock:
            self._last = now
            self._quiet_s = 0.0 if isinstance(error, (ConnectionError, TimeoutError)) else _QUIET_S
            if self._cause:
                return
            self._cause, self._began = found, now
        if not self.silent:
            affects = f" Meanwhile {self.affects}." if self.affects else ""
            log.error("%s; this outage is logged again only when it ends.%s", found, affects)

    def succeeded(self) -> None:
        """A call was answered. Usually this costs one comparison."""
        if not self._cause:
            return
        now = time.monotonic()
        with self._lock:
            if not self._cause or now - self._last < self._quiet_s:
                return
            self._cause, lasted = "", now - self._began
        if not self.silent:
            ended = f"; no longer: {self.affects}" if self.affects else ""
            log.warning("Redis is available again after %.0f s%s", lasted, ended)


OUTAGE = Outage()
