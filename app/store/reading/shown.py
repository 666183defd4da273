"""What was shown of jobs, kept for the next who asks: the JSON of each, and of pages."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from app.store.jobs import index
from app.store.reading.job import Job

Key = TypeVar("Key", bound=Hashable)
Mark = TypeVar("Mark")
Value = TypeVar("Value")
_KEPT_BYTES: Final = 8 * 2**20
"""For jobs in lists, and as much for single ones and for pages, in each process; it fills only where they are read."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as JSON, with what a list is filtered by, and where it stands there (``created_ms``); ``linkable`` is
    whether its outputs may be linked. ``until`` is when the clock alone may change it (ms)."""

    text: bytes
    values: dict[str, str | None]
    overdue: bool
    linkable: bool
    created_ms: int
    until: float


def shown(job: Job, created_ms: int, until: float = math.inf) -> Shown:
    return Shown(
        text=job.model_dump_json(by_alias=True).encode(),
        values={**index.values(job.report), **index.label_values(job.labels)},
        overdue=bool(job.submission and job.submission.overdue),
        linkable=job.outputs_unchecked in {None, "too_many"},
        created_ms=created_ms,
        until=until,
    )


class Kept(Generic[Key, Mark, Value]):
    """What was made last for each key, the latest used ones, up to ``limit`` bytes.

    A value serves only while the mark of what is stored is equal to that of what it was made of, and until its time.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, _Entry[Mark, Value]] = OrderedDict()

    def find(self, key: Key, mark: Mark, now: float = 0) -> Value | None:
        """``now`` is a time as ``put`` was given one."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.mark != mark or entry.until <= now:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def put(self, key: Key, mark: Mark, value: Value, size: int, until: float = math.inf) -> None:
        """``size`` is how many bytes mark and value take."""
        entry = _Entry(mark, value, size + _OBJECTS, until)
        with self._lock:
            self._forget(self._entries.pop(key, None))
            self._entries[key] = entry
            self._size += entry.size
            while self._size > self._limit:
                self._forget(self._entries.popitem(last=False)[1])

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._size

    def _forget(self, entry: _Entry[Mark, Value] | None) -> None:
        if entry is not None:
            self._size -= entry.size


class _Entry(NamedTuple, Generic[Mark, Value]):
    mark: Mark
    value: Value
    size: int
    until: float


_OBJECTS: Final = 3_000
"""What Python's objects around one entry take, roughly: some forty small ones."""
