"""A cache in which one thread makes a value that several need at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Slot(Generic[V]):
    """One value, made by the first caller; the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[V] = []

    def get(self, make: Callable[[], V]) -> V:
        with self._lock:
            if not self._made:
                self._made.append(make())
            return self._made[0]


class MadeOnce(Generic[K, V]):
    """The newest ``size`` values by key. If ``make`` raises, the next caller calls it again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._slots: OrderedDict[K, _Slot[V]] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            if len(self._slots) > self._size:
                self._slots.popitem(last=False)
        return slot.get(make)
