"""Jobs: their fields, their transitions, and their table.

Submitted -> Running -> Success | Failed
Submitted <-> Pause          with its queue
Submitted | Pause -> Cancel  "only jobs not yet executed can be cancelled"
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.http.tree import Tree

if TYPE_CHECKING:
    import sqlite3

    from emulator.database import Database

QUEUED = frozenset({"Submitted", "Pause"})
TERMINAL = frozenset({"Success", "Failed", "Cancel"})
STATES = ("Submitted", "Running", "Pause", *sorted(TERMINAL))


@dataclass(frozen=True)
class Plan:
    """How a job will end: `outcome` is Success, Failed or `never`; times are in seconds."""

    queue_seconds: float
    run_seconds: float
    outcome: str = "Success"
    code: str = "Success"
    message: str = ""


@dataclass(frozen=True)
class CallBack:
    """The CallBack of a submit: an empty `url` leaves it to the queue, `no` sends none."""

    url: str = ""
    format: str = ""
    type: str = ""


@dataclass(frozen=True)
class Job:
    """One job. Times are Unix seconds; `next_at` is its next transition, None for never.

    The jobs of one request share `submit`; `tag_inside`: the operation carried the tag.
    """

    id: str
    submit: str
    bucket: str
    region: str
    tag: str
    tag_inside: bool
    queue_id: str
    queue_type: str
    input: Tree
    operation: Tree
    callback: CallBack
    plan: Plan
    state: str
    created: float
    next_at: float | None
    started: float | None = None
    ended: float | None = None
    code: str = "Success"
    message: str = ""
    result: Tree = dataclasses.field(default_factory=dict)

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    def progress(self, now: float) -> int:
        """Percent, 0 to 100; an estimate only while the job runs."""
        if self.state != "Running" or self.started is None:
            return 100 if self.terminal else 0
        return max(0, min(99, int(100 * (now - self.started) / (self.plan.run_seconds or 1))))

    def run(self, now: float) -> Job:
        until = None if self.plan.outcome == "never" else now + self.plan.run_seconds
        return dataclasses.replace(self, state="Running", started=now, next_at=until)

    def end(self, state: str, now: float, code: str = "Success", message: str = "") -> Job:
        started = self.started if self.started is not None or state == "Cancel" else now
        return dataclasses.replace(
            self, state=state, started=started, ended=now, next_at=None, code=code, message=message
        )

    def pause(self) -> Job:
        return dataclasses.replace(self, state="Pause", next_at=None)

    def resume(self, now: float) -> Job:
        return dataclasses.replace(self, state="Submitted", next_at=now + self.plan.queue_seconds)


class Jobs:
    """The table of jobs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, job: Job) -> None:
        self._db.write(
            "INSERT INTO jobs"
            " (id, submit, bucket, tag, queue_id, input_object, state, created, next_at, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(job.id, job.submit, job.bucket, job.tag, job.queue_id, str(job.input.get("Object", ""))),
            *(job.state, job.created, job.next_at, _dump(job)),
        )

    def save(self, job: Job) -> None:
        self._db.write(
            "UPDATE jobs SET state = ?, next_at = ?, record = ? WHERE id = ?",
            *(job.state, job.next_at, _dump(job), job.id),
        )

    def get(self, job_id: str, bucket: str | None = None) -> Job | None:
        row = self._db.row(
            "SELECT record FROM jobs WHERE id = ? AND bucket = coalesce(?, bucket)", job_id, bucket
        )
        return load(row) if row else None

    def due(self, now: float, limit: int = 200) -> list[Job]:
        rows = self._db.rows(
            "SELECT record FROM jobs WHERE next_at <= ? ORDER BY next_at LIMIT ?", now, limit
        )
        return [load(row) for row in rows]

    def next_due(self) -> float | None:
        row = self._db.row("SELECT min(next_at) AS at FROM jobs WHERE next_at IS NOT NULL")
        return row["at"] if row else None

    def of_submit(self, submit: str) -> list[Job]:
        return [
            load(row)
            for row in self._db.rows("SELECT record FROM jobs WHERE submit = ? ORDER BY seq", submit)
        ]

    def queued(self, bucket: str, queue_id: str, state: str) -> list[Job]:
        rows = self._db.rows(
            "SELECT record FROM jobs WHERE bucket = ? AND queue_id = ? AND state = ?", bucket, queue_id, state
        )
        return [load(row) for row in rows]

    def waiting(self, bucket: str, queue_id: str) -> int:
        """The number of jobs that wait in a queue."""
        row = self._db.row(
            "SELECT count(*) AS n FROM jobs"
            " WHERE bucket = ? AND queue_id = ? AND state IN ('Submitted', 'Pause')",
            *(bucket, queue_id),
        )
        return int(row["n"]) if row else 0


def _dump(job: Job) -> str:
    return json.dumps(dataclasses.asdict(job), ensure_ascii=False)


def load(row: sqlite3.Row) -> Job:
    record: dict[str, Any] = json.loads(row["record"])
    record["plan"] = Plan(**record["plan"])
    record["callback"] = CallBack(**record["callback"])
    return Job(**record)
