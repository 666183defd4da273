"""``Authorization: Bearer <key>``, and what each key may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import g, request

from app.api.rates import check_guesses, count_guess, count_request
from app.store.access.api_keys import ApiKey, Scope, key_digest
from app.web.problems import Problem
from app.web.services import services

P = ParamSpec("P")
R = TypeVar("R")


def needs(scope: Scope, *more: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The view is for keys that have all these scopes; ``admin`` includes every other one.

    Whatever shows a job needs ``read``.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if "api_key" not in g:  # The pages have set it: theirs is that of the session.
                g.api_key = _key()
            require(scope, *more)
            return view(*args, **kwargs)

        guarded.scope = scope  # type: ignore[attr-defined]
        return guarded

    return decorate


def require(*scopes: Scope) -> None:
    """Raises ``Problem`` unless the key of this request has all of them."""
    for needed in scopes:
        if not may(needed):
            raise Problem(
                "forbidden", f"The key {g.api_key.name!r} lacks the scope {needed!r}.", needed=needed
            )


def may(scope: Scope) -> bool:
    scopes = cast(ApiKey, g.api_key).scopes
    return scope in scopes or "admin" in scopes


def _key() -> ApiKey:
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not key.strip():
        raise _unauthorized()
    digest = key_digest(key.strip())
    check_guesses(digest)
    found = services().store.api_keys.with_digest(digest)
    if found is None:
        count_guess(digest)
        raise _unauthorized()
    count_request(digest)
    return found


def _unauthorized() -> Problem:
    return Problem("unauthorized", "Send `Authorization: Bearer <key>`; `flask keys create NAME` makes one.")
