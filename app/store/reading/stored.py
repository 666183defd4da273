"""What is stored of jobs, as one script reads it."""

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
"""Of a job's hash."""
OF_SUBMISSION: Final = ("submitted_at", "callback", "deadline", "labels_json")
"""Of the hash of its submission."""
_NAMES: Final = (len(OF_JOB), *OF_JOB, len(OF_SUBMISSION), *OF_SUBMISSION)
_UPDATED, _DEADLINE, _CREATED = map(OF_JOB.index, ("updated", "deadline", "created"))
_AT_ONCE: Final = 200
"""Jobs in one call."""


class Stored(NamedTuple):
    """All that a job's record is made of (``content``): nothing else, and no clock, is read for it. ``late`` is whether
    the deadline, ``due_ms``, has passed."""

    fields: tuple[bytes | None, ...]
    report: bytes | None
    submission: tuple[bytes | None, ...]
    request: bytes | None
    has_body: bool
    late: bool
    due_ms: int | None = None

    @property
    def created_ms(self) -> int:
        """Where the job stands in lists."""
        return int(self.fields[_CREATED] or 0)

    @property
    def content(self) -> tuple[Any, ...]:
        """Two that are equal make the same record."""
        return self[:6]

    @property
    def digest(self) -> str:
        """128 bits of hash of the content, in hex."""
        return hashlib.blake2b(_ENCODER.encode(self.content), digest_size=16).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of the content."""
        parts = (*self.fields, self.report, *self.submission, self.request)
        return sum(len(part) for part in parts if part)


class StoredJobs:
    """Reads what is stored."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._read = script(db.client, "holder", "read")

    def of(self, ids: Sequence[str]) -> list[Stored | None]:
        """What is stored of these jobs: what belongs to one of them is of one moment."""
        found: list[Stored | None] = []
        for start in range(0, len(ids), _AT_ONCE):
            found += self._ask("", ids[start : start + _AT_ONCE])[1]
        return found

    def for_holder(self, digest: str, job_id: str) -> tuple[ApiKey | None, Stored | None]:
        """The API key of that digest, and what is stored of the job, in one round trip; nothing for an unknown key."""
        key, found = self._ask(digest, [job_id])
        return key, found[0] if found else None

    def _ask(self, digest: str, ids: Sequence[str]) -> tuple[ApiKey | None, list[Stored | None]]:
        arguments = (self._db.prefix, digest, *_NAMES, *ids)
        holder, *rows = evalsha(self._redis, self._read, arguments)
        return read_key(holder), [_as_stored(row) for row in rows]


def _as_stored(row: Any) -> Stored | None:
    fields, report, submission, request, has_body = row
    # Without the job's own fields a report is a leftover of one that was removed.
    if not report or not fields[_UPDATED]:
        return None
    deadline = fields[_DEADLINE] or (submission[OF_SUBMISSION.index("deadline")] if submission else None)
    due = to_ms(time_of(decoded(deadline)))
    late = due is not None and due < now_ms()
    return Stored(tuple(fields), report, tuple(submission), request, bool(has_body), late, due)


_ENCODER: Any = msgspec.msgpack.Encoder()
