"""Schedules of runs: sorted sets of run ids by time (ms).

For a waiting run the time is when it is due; for a running one it is the end of its lease, which its worker renews.
Each lane of workers has a schedule, each endpoint has one, and so have the look-ups that the relay performs. All times
are by the clock of Redis: processes run on several hosts, whose clocks differ.
"""

from __future__ import annotations

from msgspec import Struct

from app.redis.scripts import decoded_all, script
from app.settings.lanes import DEFAULT_LANE
from app.store.database import Database
from app.store.runs.run import OUTPUTS_HANDLER, parts_of


class Backlog(Struct, frozen=True):
    """How many runs are due and not handed out, and for how long (seconds) the oldest of them has been."""

    due: int
    oldest_s: float


class Schedules:
    """The schedules in the store."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._workers = db.key("runs")
        self._lookups = db.key("lookups")
        self._take = script(db.client, "take")
        self._hand_back = script(db.client, "run", "hand_back")
        self._behind = script(db.client, "backlog")

    def of_lane(self, lane: str) -> str:
        """The key of a lane's schedule."""
        return self._workers if lane == DEFAULT_LANE else self._db.key("lane", lane)

    def of_endpoint(self, endpoint: str) -> str:
        """The key of an endpoint's schedule. Each has its own, so that a broken endpoint does not delay the others."""
        return self._db.key("deliveries", endpoint)

    def of_run(self, each: str) -> str:
        """The key of the run's schedule, if its lane is the default one."""
        _, handler, endpoint = parts_of(each)
        if endpoint:
            return self.of_endpoint(endpoint)
        return self._lookups if handler == OUTPUTS_HANDLER else self._workers

    def take_due(self, count: int, put_off_s: float, lane: str = DEFAULT_LANE) -> list[str]:
        """Up to ``count`` due runs, put off by ``put_off_s``: they are due again only if the caller dies."""
        schedule = self.of_lane(lane)
        taken = decoded_all(self._take(keys=[schedule], args=[count, int(put_off_s * 1000)]))
        if lane != DEFAULT_LANE:
            return taken
        if moved := [each for each in taken if self.of_run(each) != self._workers]:
            self._move(moved)
        return [each for each in taken if each not in moved]

    def _move(self, ids: list[str]) -> None:
        """Move look-ups to their schedule: earlier releases planned them among the runs for workers."""
        now = self._db.now_ms()
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(self._lookups, dict.fromkeys(ids, now), nx=True)
            pipe.zrem(self._workers, *ids)
            pipe.execute()

    def take_lookups(self, count: int, put_off_s: float) -> list[str]:
        """As ``take_due``, for the look-ups that the relay performs itself."""
        return decoded_all(self._take(keys=[self._lookups], args=[count, int(put_off_s * 1000)]))

    def hand_back(self, ids: list[str]) -> int:
        """Make those of these runs that were handed out and never begun due at once. Returns how many."""
        return int(self._hand_back(keys=[self._workers], args=[self._db.prefix, *ids]))

    def next_due_s(self, lane: str = DEFAULT_LANE) -> float | None:
        """Seconds until the lane's next run is due; ``None`` if none is planned."""
        return self._first_s(self.of_lane(lane))

    def planned(self, lane: str) -> int:
        """How many runs of the lane are due, are running, or will be retried."""
        return int(self._redis.zcard(self.of_lane(lane)))

    def next_lookup_s(self) -> float | None:
        return self._first_s(self._lookups)

    def backlog(self, lane: str = DEFAULT_LANE) -> Backlog:
        """The backlog of the runs for workers of that lane."""
        return self._backlog(self.of_lane(lane))

    def lookups_backlog(self) -> Backlog:
        """The backlog of look-ups, which wait for a free thread of a relay."""
        return self._backlog(self._lookups)

    def _backlog(self, schedule: str) -> Backlog:
        due, *first = self._behind(keys=[schedule], args=[0])
        return Backlog(due, max(0.0, first[0] / 1000) if first else 0.0)

    def _first_s(self, schedule: str) -> float | None:
        _, *first = self._behind(keys=[schedule], args=[0])
        return max(0.0, -first[0] / 1000) if first else None
