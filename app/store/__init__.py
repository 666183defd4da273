"""The only place that knows Redis keys."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.redis.capabilities import DurabilityUnsupported, Level
    from app.redis.connection import UNAVAILABLE, connect
    from app.redis.durable import Durable
    from app.store.accept.acceptor import Acceptor
    from app.store.accept.news import Limits, News
    from app.store.accept.outcomes import NotBelieved, NotDurable, Outcome, OverLimit, Unavailable
    from app.store.database import Database
    from app.store.events.event import Event
    from app.store.reading.job import Job
    from app.store.schema.schema import Schema, WrongSchema
    from app.store.whole import Store

__all__ = [
    "UNAVAILABLE",
    "Acceptor",
    "Database",
    "DurabilityUnsupported",
    "Durable",
    "Event",
    "Job",
    "Level",
    "Limits",
    "News",
    "NotBelieved",
    "NotDurable",
    "Outcome",
    "OverLimit",
    "Schema",
    "Store",
    "Unavailable",
    "WrongSchema",
    "connect",
]

_MODULES = {
    "UNAVAILABLE": "app.redis.connection",
    "Acceptor": "app.store.accept.acceptor",
    "Database": "app.store.database",
    "DurabilityUnsupported": "app.redis.capabilities",
    "Durable": "app.redis.durable",
    "Event": "app.store.events.event",
    "Job": "app.store.reading.job",
    "Level": "app.redis.capabilities",
    "Limits": "app.store.accept.news",
    "News": "app.store.accept.news",
    "NotBelieved": "app.store.accept.outcomes",
    "NotDurable": "app.store.accept.outcomes",
    "Outcome": "app.store.accept.outcomes",
    "OverLimit": "app.store.accept.outcomes",
    "Schema": "app.store.schema.schema",
    "Store": "app.store.whole",
    "Unavailable": "app.store.accept.outcomes",
    "WrongSchema": "app.store.schema.schema",
    "connect": "app.redis.connection",
}
"""Imported when first asked for: what handles an event or a job needs no Redis client."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found
