"""``Authorization: Bearer <key>``, and what each key may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import g, request

from app.store.access.api_keys import ApiKey, Scope
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
    found = services().store.api_keys.find(key.strip()) if kind.lower() == "bearer" and key.strip() else None
    if found is None:
        raise Problem(
            "unauthorized", "Send `Authorization: Bearer <key>`; `flask keys create NAME` makes one."
        )
    return found
