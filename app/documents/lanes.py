"""Lanes: the queues of the workers."""

from __future__ import annotations

from typing import Self

from msgspec import to_builtins
from pydantic import BaseModel

from app.store.lanes.lanes import LaneState


class LanePauseView(BaseModel):
    """Who paused it, and when."""

    by: str
    at: str


class LaneView(BaseModel):
    """A lane. ``due`` runs wait for a worker, the oldest for ``oldest_s`` seconds; ``planned`` also counts runs that
    are running or will be retried. ``workers`` processes serve it; ``declared``: a handler is in it."""

    name: str
    declared: bool
    workers: int
    due: int
    oldest_s: float
    planned: int
    paused: LanePauseView | None

    @classmethod
    def of(cls, state: LaneState) -> Self:
        return cls.model_validate(to_builtins(state))


class LanesDocument(BaseModel):
    """The lanes of handlers, and earlier ones that still have runs; the default one first."""

    lanes: list[LaneView]
