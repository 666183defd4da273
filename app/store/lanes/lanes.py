"""Lanes: which ones exist, how many runs wait in each, how many workers serve it, and whether it is paused.

Relays write which lanes their handlers declare, because the web service imports no handlers. A paused lane keeps its
runs.
"""

from __future__ import annotations

import json

from msgspec import Struct

from app.core.clock import now_ms, rfc3339
from app.redis.scripts import text_map
from app.settings.lanes import DEFAULT_LANE
from app.store.database import Database
from app.store.processes.presence import Presence
from app.store.schedules.schedules import Schedules

_DECLARED_MS = 180_000
"""A lane that no relay has declared for that long has no handler any more."""
_PAUSED = "paused:"


class LanePause(Struct, frozen=True):
    by: str
    at: str


class LaneState(Struct, frozen=True):
    """``due`` runs wait for a worker, the oldest for ``oldest_s`` seconds; ``planned`` also counts runs that are
    running or will be retried. ``workers`` is how many processes serve it. ``declared``: some handler is in it."""

    name: str
    declared: bool
    workers: int
    due: int
    oldest_s: float
    planned: int
    paused: LanePause | None

    @property
    def is_unserved(self) -> bool:
        """True if it has, or can get, runs that no worker takes."""
        return not self.workers and (self.declared or self.planned > 0)


class Lanes:
    """The lanes in the store."""

    def __init__(self, db: Database, schedules: Schedules, presence: Presence) -> None:
        self._db = db
        self._redis = db.client
        self._key = db.key("lanes")
        self._schedules = schedules
        self._presence = presence

    def declare(self, names: list[str]) -> None:
        """Note that handlers of this relay are in these lanes. Lanes without handler, runs and pause are removed."""
        self._redis.hset(self._key, mapping=dict.fromkeys(names, now_ms()))
        for name, at in self._known().items():
            if name not in names and at < now_ms() - _DECLARED_MS and not self._schedules.planned(name):
                self._redis.hdel(self._key, name)

    def names(self) -> list[str]:
        """The names of all lanes, the default one first."""
        return sorted({DEFAULT_LANE, *self._known()}, key=lambda name: (name != DEFAULT_LANE, name))

    def paused(self) -> dict[str, LanePause]:
        kept = text_map(self._redis.hgetall(self._key))
        return {
            name.removeprefix(_PAUSED): LanePause(**json.loads(value))
            for name, value in kept.items()
            if name.startswith(_PAUSED)
        }

    def pause(self, name: str, by: str) -> None:
        """Stop handing out its runs. A run that has begun goes on to its end."""
        self._redis.hset(self._key, _PAUSED + name, json.dumps({"by": by, "at": rfc3339(now_ms())}))

    def resume(self, name: str) -> None:
        self._redis.hdel(self._key, _PAUSED + name)

    def state(self, name: str) -> LaneState | None:
        """``None`` for a lane that has neither handlers nor runs."""
        return next((each for each in self.all() if each.name == name), None)

    def all(self) -> list[LaneState]:
        known, paused = self._known(), self.paused()
        return [self._state(name, known.get(name, 0), paused.get(name)) for name in self.names()]

    def unserved(self) -> list[str]:
        """Lanes whose runs no worker takes."""
        return [each.name for each in self.all() if each.is_unserved]

    def _state(self, name: str, declared_at: int, pause: LanePause | None) -> LaneState:
        backlog = self._schedules.backlog(name)
        return LaneState(
            name=name,
            declared=declared_at > now_ms() - _DECLARED_MS,
            workers=self._presence.seen(lane_role(name)),
            due=backlog.due,
            oldest_s=round(backlog.oldest_s, 3),
            planned=self._schedules.planned(name),
            paused=pause,
        )

    def _known(self) -> dict[str, int]:
        """When each lane was last declared (ms)."""
        kept = text_map(self._redis.hgetall(self._key))
        found = {name: int(value) for name, value in kept.items() if not name.startswith(_PAUSED)}
        paused = {name.removeprefix(_PAUSED): 0 for name in kept if name.startswith(_PAUSED)}
        return paused | found


def lane_role(name: str) -> str:
    """The role under which the workers of a lane report their presence."""
    return f"lane:{name}"
