"""The one handler or endpoint that a replay is for."""

from __future__ import annotations

from app.store.events.event import Only
from app.web.problems import Problem
from app.web.services import services


def only_for(handler: str | None, endpoint: str | None) -> Only | None:
    """``None`` for all of them. Raises ``Problem`` if none has that name."""
    every = services()
    endpoints = [each.name for each in every.settings.forward_urls]
    field = "handler" if handler is not None else "endpoint"
    if why := every.store.replays.why_none(handler, endpoint, endpoints):
        raise Problem("unknown_handler", why, errors=[{"field": field, "rule": why}])
    return Only(handler, endpoint) if handler or endpoint else None
