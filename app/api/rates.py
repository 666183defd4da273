"""Rate limits of each API key, and of each address that sends wrong keys. Counted in this process: no round trip."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final, cast

from flask import Flask, Response, current_app, g, request
from msgspec import Struct
from msgspec.structs import replace

from app.core.network.networks import Address
from app.receiver.address import caller
from app.settings import Settings
from app.settings.rates import Rate
from app.web.problems import Problem

WRONG_KEYS: Final = Rate(10, 60, 10)
"""The limit on wrong keys from one address."""
_MOST: Final = 10_000
"""Callers that one process remembers, some 2 MiB. The least recent one is forgotten first."""


class Quota(Struct, frozen=True):
    """The caller's quota after a request; ``wait``: seconds until the next is allowed, 0 if this one was."""

    name: str
    rate: Rate
    remaining: int
    full_in: float
    wait: float

    def headers(self) -> dict[str, str]:
        """The headers of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (draft 10)."""
        window = math.ceil(self.rate.burst * self.rate.interval)
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.rate.burst};w={window}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={math.ceil(self.full_in)}',
        }


class Quotas:
    """One rate for many callers, each with a quota of its own.

    The generic cell rate algorithm: all that is remembered of a caller is the moment at which its quota is full again.
    """

    def __init__(self, name: str, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self._name, self._rate, self._now = name, rate, now
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, who: str) -> bool:
        return who in self._full_at

    def __len__(self) -> int:
        return len(self._full_at)

    def left(self, who: str) -> Quota:
        """The quota of ``who``, unchanged."""
        return self._quota(self._full_at.get(who, 0.0) - self._now())

    def take(self, who: str) -> Quota:
        """Count one request of ``who``; ``wait`` says whether it is allowed. A refused request is not counted."""
        with self._lock:
            now = self._now()
            full_at = max(self._full_at.pop(who, 0.0), now)
            before = self._quota(full_at - now)
            self._full_at[who] = full_at if before.wait else full_at + self._rate.interval
            if len(self._full_at) > _MOST:
                self._full_at.popitem(last=False)
            return before if before.wait else replace(self._quota(self._full_at[who] - now), wait=0.0)

    def forget(self, who: str) -> None:
        with self._lock:
            self._full_at.pop(who, None)

    def _quota(self, full_in: float) -> Quota:
        rate, full_in = self._rate, max(full_in, 0.0)
        # A clock's float is exact to some nanoseconds only.
        remaining = max(math.floor(rate.burst - full_in / rate.interval + 1e-6), 0)
        wait = 0.0 if remaining else full_in - (rate.burst - 1) * rate.interval
        return Quota(self._name, rate, remaining, full_in, wait)


class ApiRates(Struct, frozen=True):
    """The quotas of one process: by the digest of a key, and by the address that sends wrong keys."""

    keys: Quotas
    wrong: Quotas

    @classmethod
    def open(cls, settings: Settings) -> ApiRates:
        return cls(Quotas("key", settings.api_rate), Quotas("wrong-keys", WRONG_KEYS))


def rates_of(app: Flask) -> ApiRates:
    return cast(ApiRates, app.extensions["api_rates"])


def rates() -> ApiRates:
    """The quotas of the application that serves this request."""
    return rates_of(current_app)


def check_guesses(digest: str) -> None:
    """Call this before a key is looked up. Raises ``Problem`` if this address has sent too many wrong keys.

    A key that this process has seen valid is always looked up: wrong keys from behind the same proxy do not stop it.
    """
    if digest not in rates().keys:
        _refuse_beyond(rates().wrong.left(_address()), "This address has sent too many wrong API keys.")


def count_guess(digest: str) -> None:
    """Count a key that is unknown or was revoked."""
    rates().keys.forget(digest)
    g.quota = rates().wrong.take(_address())


def count_request(digest: str) -> None:
    """Count one request with a valid key. Raises ``Problem`` beyond ``API_RATE``."""
    quota = rates().keys.take(digest)
    _refuse_beyond(quota, f"This API key has sent more than {quota.rate} (API_RATE) to this process.")


def init_app(app: Flask) -> None:
    app.extensions["api_rates"] = ApiRates.open(app.extensions["settings"])

    @app.after_request
    def show(answer: Response) -> Response:
        if quota := g.get("quota"):
            answer.headers.update(quota.headers())
        return answer


def _refuse_beyond(quota: Quota, what: str) -> None:
    g.quota = quota
    if quota.wait:
        raise Problem(
            "too_many_requests", f"{what} Try again after Retry-After.", retry_after=math.ceil(quota.wait)
        )


def _address() -> str:
    """The caller's address; behind declared proxies the client's. IPv6 by /64, the usual size of one customer."""
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    settings: Settings = current_app.extensions["settings"]
    found: Address | None = caller(request.remote_addr, forwarded, settings.trusted_proxies)
    if found is not None and found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
