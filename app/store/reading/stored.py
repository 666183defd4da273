"""What is stored of jobs, as one script reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from app.core.clock import now_ms, time_of, to_ms
from app.redis.scripts import decoded, evalsha, script
from app.store.database import Database

FIELDS: Final = (
    "submission", "verification", "source", "version", "updated", "raw", "deadline", "created", "rank",
    "check", "doubt", "digest", "outputs_unasked",
)  # fmt: skip
"""Of a job's hash."""
OF_SUBMISSION: Final = ("submitted_at", "callback", "deadline")
"""Of the hash of its submission."""
_NAMES: Final = (len(FIELDS), *FIELDS, len(OF_SUBMISSION), *OF_SUBMISSION)
_UPDATED, _DEADLINE = map(FIELDS.index, ("updated", "deadline"))
_AT_ONCE: Final = 200
"""Jobs in one call."""


class Stored(NamedTuple):
    """All that a job's record is made of. Two that are equal make the same record: nothing else, and no clock, is read
    for it. ``late`` is whether the deadline has passed."""

    fields: tuple[bytes | None, ...]
    report: bytes | None
    submission: tuple[bytes | None, ...]
    request: bytes | None
    has_body: bool
    late: bool

    @property
    def digest(self) -> str:
        """128 bits of hash, in hex."""
        return hashlib.blake2b(_ENCODER.encode(self), digest_size=16).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of it."""
        parts = (*self.fields, self.report, *self.submission, self.request)
        return sum(len(part) for part in parts if part)


class StoredJobs:
    """Reads what is stored."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._read = script(db.client, "read")

    def of(self, ids: Sequence[str]) -> list[Stored | None]:
        """What is stored of these jobs: what belongs to one of them is of one moment."""
        found: list[Stored | None] = []
        for start in range(0, len(ids), _AT_ONCE):
            arguments = [self._db.prefix, *_NAMES, *ids[start : start + _AT_ONCE]]
            found += map(_as_stored, evalsha(self._redis, self._read, arguments))
        return found


def _as_stored(row: Any) -> Stored | None:
    fields, report, submission, request, has_body = row
    # Without the job's own fields a report is a leftover of one that was removed.
    if not report or not fields[_UPDATED]:
        return None
    deadline = fields[_DEADLINE] or (submission[OF_SUBMISSION.index("deadline")] if submission else None)
    due = to_ms(time_of(decoded(deadline)))
    return Stored(
        tuple(fields), report, tuple(submission), request, bool(has_body), due is not None and due < now_ms()
    )


_ENCODER: Any = msgspec.msgpack.Encoder()
