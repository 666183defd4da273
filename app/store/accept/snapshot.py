"""A job's report at one version, for scripts that put it into an event: scripts cannot unpack values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from app.redis.scripts import decoded
from app.store.database import Database
from app.store.packing.packing import unpack

TRIES: Final = 5
"""How often a snapshot is taken again when a script answers that the job has changed since."""


class Snapshot(NamedTuple):
    """A job's version and its report (JSON): ``None`` and empty for a job that is not known."""

    version: str | None
    report: bytes


NOTHING: Final = Snapshot(None, b"")


def snapshots(db: Database, job_ids: Sequence[str]) -> list[Snapshot]:
    """One for each job, in order."""
    pipe = db.client.pipeline()
    for each in job_ids:
        pipe.hget(db.key("job", each), "version")
        pipe.lindex(db.key("record", each), 0)
    answers = pipe.execute()
    pairs = zip(answers[::2], answers[1::2], strict=True)
    return [Snapshot(decoded(version), unpack(report or b"")) for version, report in pairs]
