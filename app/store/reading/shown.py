"""A cache of the JSON of jobs, and of pages of jobs."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, TypeVar

from msgspec import Struct

from app.store.jobs import index
from app.store.reading.job import Job

Key = TypeVar("Key", bound=Hashable)
Mark = TypeVar("Mark")
Value = TypeVar("Value")
_KEPT_BYTES: Final = 8 * 2**20
"""Bytes of each of three caches in a process: jobs in lists, single jobs, pages. Only processes that read fill them."""


class Shown(Struct, frozen=True):
    """A record as JSON, with the values that lists are filtered by and its position there (``created_ms``).
    ``linkable``: its outputs may be linked. ``until``: when time alone may change it (ms)."""

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
    """The last value for each key; the least recently used are dropped beyond ``limit`` bytes.

    A value is valid while the mark (a version of the stored data) is the one it was put with, and until its time.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, _Entry[Mark, Value]] = OrderedDict()

    def find(self, key: Key, mark: Mark, now: float = 0) -> Value | None:
        """The value, if it is valid. ``now`` is on the clock of the ``until`` that ``put`` was given."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.mark != mark or entry.until <= now:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def put(self, key: Key, mark: Mark, value: Value, size: int, until: float = math.inf) -> None:
        """``size``: bytes of mark and value."""
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
"""Bytes of Python's objects around one entry, roughly: some forty small ones."""
