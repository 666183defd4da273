"""Jobs as they are shown: the JSON made of what is stored of each, kept for the next who asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from app.store.jobs import index
from app.store.reading.job import Job
from app.store.reading.stored import Stored

_KEPT_BYTES: Final = 8 * 2**20
"""For jobs in lists, and as much for single ones, in each process; it fills only where the API is used."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as JSON, with what a list is filtered by; ``linkable`` is whether its outputs may be linked."""

    text: bytes
    values: dict[str, str | None]
    overdue: bool
    linkable: bool


def shown(job: Job) -> Shown:
    return Shown(
        text=job.model_dump_json(by_alias=True).encode(),
        values={**index.values(job.report), **index.label_values(job.labels)},
        overdue=bool(job.submission and job.submission.overdue),
        linkable=job.outputs_unchecked in {None, "too_many"},
    )


class Kept:
    """What was shown last of each job, the latest used ones, up to ``limit`` bytes.

    An entry serves only while what is stored is equal to what it was made of, so it can never be out of date.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
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
