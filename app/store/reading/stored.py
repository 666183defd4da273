"""The stored fields of jobs, as read.lua returns them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from app.core.clock import now_ms, time_of, to_ms
from app.redis.scripts import decoded, evalsha, script
from app.store.access.api_keys import ApiKey, read_key
from app.store.database import Database

OF_JOB: Final = (
    "submission", "verification", "source", "version", "updated", "raw", "deadline", "created", "rank",
    "check", "doubt", "digest", "outputs_unasked",
)  # fmt: skip
"""Fields of a job's hash."""
OF_SUBMISSION: Final = ("submitted_at", "callback", "deadline", "labels_json")
"""Fields of its submission's hash."""
_NAMES: Final = (len(OF_JOB), *OF_JOB, len(OF_SUBMISSION), *OF_SUBMISSION)
_UPDATED, _DEADLINE, _CREATED = map(OF_JOB.index, ("updated", "deadline", "created"))
_AT_ONCE: Final = 200
"""Jobs read in one call."""


class Stored(NamedTuple):
    """All that a job's record is made of (``content``); making it reads nothing else, not even a clock. ``late``: the
    deadline ``due_ms`` has passed."""

    fields: tuple[bytes | None, ...]
    report: bytes | None
    submission: tuple[bytes | None, ...]
    request: bytes | None
    has_body: bool
    late: bool
    due_ms: int | None = None

    @property
    def created_ms(self) -> int:
        """The job's position in lists: its creation (ms)."""
        return int(self.fields[_CREATED] or 0)

    @property
    def content(self) -> tuple[Any, ...]:
        """Equal contents make equal records."""
        return self[:6]

    @property
    def digest(self) -> str:
        """A hash of the content: 128 bits, in hex."""
        return hashlib.blake2b(_ENCODER.encode(self.content), digest_size=16).hexdigest()

    @property
    def size(self) -> int:
        """The size of the content, in bytes."""
        parts = (*self.fields, self.report, *self.submission, self.request)
        return sum(len(part) for part in parts if part)


class StoredJobs:
    """Reads the stored fields."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._read = script(db.client, "holder", "read")

    def of(self, ids: Sequence[str]) -> list[Stored | None]:
        """The stored fields of these jobs, in order; those of one job are read at one moment."""
        found: list[Stored | None] = []
        for start in range(0, len(ids), _AT_ONCE):
            found += self._ask("", ids[start : start + _AT_ONCE])[1]
        return found

    def for_holder(self, digest: str, job_id: str) -> tuple[ApiKey | None, Stored | None]:
        """The API key of that digest, and the stored fields of the job, in one round trip; for an unknown key
        neither."""
        key, found = self._ask(digest, [job_id])
        return key, found[0] if found else None

    def _ask(self, digest: str, ids: Sequence[str]) -> tuple[ApiKey | None, list[Stored | None]]:
        arguments = (self._db.prefix, digest, *_NAMES, *ids)
        holder, *rows = evalsha(self._redis, self._read, arguments)
        return read_key(holder), [_as_stored(row) for row in rows]


def _as_stored(row: Any) -> Stored | None:
    fields, report, submission, request, has_body = row
    # A report without the job's own fields is left over from a job that was removed.
    if not report or not fields[_UPDATED]:
        return None
    deadline = fields[_DEADLINE] or (submission[OF_SUBMISSION.index("deadline")] if submission else None)
    due = to_ms(time_of(decoded(deadline)))
    late = due is not None and due < now_ms()
    return Stored(tuple(fields), report, tuple(submission), request, bool(has_body), late, due)


_ENCODER: Any = msgspec.msgpack.Encoder()
