"""``Authorization: Bearer <key>``, and what each key may do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar, cast

from flask import g, request

from app.api.rates import check_guesses, count_guess, count_request
from app.redis.cursors import BadCursor
from app.store.access.api_keys import ApiKey, ApiKeys, Scope, key_digest
from app.web.problems import Problem
from app.web.services import services

P = ParamSpec("P")
R = TypeVar("R")

STREAM_CHECK_S: Final = 15.0
"""Seconds after which a stream looks its key up again: a revoked key reads no longer than that."""


def needs(scope: Scope, *more: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The view is for keys that have all these scopes; ``admin`` includes every other one.

    Whatever shows a job needs ``read``.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if "api_key" not in g:  # A page has set the key of its session.
                g.api_key = _key()
            require(scope, *more)
            return view(*args, **kwargs)

        guarded.scopes = (scope, *more)  # type: ignore[attr-defined]
        return guarded

    return decorate


def needs_with_read(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """As ``needs``, for a view that looks the key up in the same round trip as its data (``read_for_key``), which
    halves the cost of a small read (docs/performance.md)."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            g.needed = scope
            answer = view(*args, **kwargs)
            if "api_key" not in g:
                raise TypeError(f"{view.__name__} answers without having looked at the API key")
            return answer

        guarded.scopes = (scope,)  # type: ignore[attr-defined]
        return guarded

    return decorate


def read_for_key(read: Callable[[str], tuple[ApiKey | None, R]]) -> R:
    """The result of ``read``, which is called with the digest of this request's key. Raises ``Problem`` unless the key
    has the scope that its view needs, before any other fault of the request is reported."""
    digest = _digest()
    try:
        key, found = read(digest)
    except (Problem, BadCursor):
        g.api_key = _known(digest, services().store.api_keys.with_digest(digest))
        require(g.needed)
        raise
    g.api_key = _known(digest, key)
    require(g.needed)
    return found


def require(*scopes: Scope) -> None:
    """Raises ``Problem`` unless the key of this request has all of these scopes."""
    for needed in scopes:
        if not may(needed):
            raise Problem(
                "forbidden", f"The key {g.api_key.name!r} lacks the scope {needed!r}.", needed=needed
            )


def may(scope: Scope) -> bool:
    return cast(ApiKey, g.api_key).may(scope)


class StreamKey:
    """The key of a stream, which outlives its request: looked up again every ``STREAM_CHECK_S``, so that a stream ends
    with its key."""

    def __init__(self, keys: ApiKeys, digest: str, scope: Scope) -> None:
        """``digest``: that of a key which was just found to have the scope."""
        self._keys, self._digest, self._scope = keys, digest, scope
        self._next_check = time.monotonic() + STREAM_CHECK_S

    def left_s(self) -> float:
        """Seconds until it is looked up again: wait no longer than that."""
        return max(0.0, self._next_check - time.monotonic())

    def is_valid(self) -> bool:
        """False if the key was revoked or has lost the scope. Raises ``UNAVAILABLE``."""
        if self.left_s() > 0:
            return True
        key = self._keys.with_digest(self._digest)
        self._next_check = time.monotonic() + STREAM_CHECK_S
        return key is not None and key.may(self._scope)


def stream_key() -> StreamKey:
    """The key of this request, which a view with ``needs("read")`` has checked."""
    return StreamKey(services().store.api_keys, _digest(), "read")


def _key() -> ApiKey:
    digest = _digest()
    return _known(digest, services().store.api_keys.with_digest(digest))


def bearer_digest(header: str) -> str | None:
    """The digest of the key in an ``Authorization`` header, if there is one."""
    kind, _, key = header.partition(" ")
    return key_digest(key.strip()) if kind.lower() == "bearer" and key.strip() else None


def _digest() -> str:
    digest = bearer_digest(request.headers.get("Authorization", ""))
    if digest is None:
        raise _unauthorized()
    check_guesses(digest)
    return digest


def _known(digest: str, key: ApiKey | None) -> ApiKey:
    if key is None:
        count_guess(digest)
        raise _unauthorized()
    count_request(digest)
    return key


def _unauthorized() -> Problem:
    return Problem("unauthorized", "Send `Authorization: Bearer <key>`; `flask keys create NAME` makes one.")
