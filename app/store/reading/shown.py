"""Jobs as they are shown: what is stored of each, and the JSON made of that, kept for the next who asks."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec


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


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as JSON, with what a list is filtered by; ``linkable`` is whether its outputs may be linked."""

    text: bytes
    values: dict[str, str | None]
    overdue: bool
    linkable: bool


class Kept:
    """What was shown last of each job, the latest used ones, up to ``limit`` bytes.

    An entry serves only while what is stored is equal to what it was made of, so it can never be out of date.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[Stored, Shown]] = OrderedDict()

    def find(self, job_id: str, stored: Stored) -> Shown | None:
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None or entry[0] != stored:
                return None
            self._entries.move_to_end(job_id)
            return entry[1]

    def put(self, job_id: str, stored: Stored, shown: Shown) -> None:
        with self._lock:
            self._forget(self._entries.pop(job_id, None))
            self._entries[job_id] = stored, shown
            self._size += _size(stored, shown)
            while self._size > self._limit:
                self._forget(self._entries.popitem(last=False)[1])

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._size

    def _forget(self, entry: tuple[Stored, Shown] | None) -> None:
        if entry is not None:
            self._size -= _size(*entry)


def _size(stored: Stored, shown: Shown) -> int:
    return stored.size + len(shown.text) + _OBJECTS


_OBJECTS = 3_000
"""What Python's objects around one entry take, roughly: some forty small ones."""
_ENCODER: Any = msgspec.msgpack.Encoder()
