"""The newest events of the stream, held by the one reader of a process and shared by all listeners."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from app.store.events.outbox import Posted, order

StreamPosition = tuple[int, int]
"""A stream id in the form that sorts."""


class Window:
    """Every entry after a position, up to ``head``, the newest. Not thread-safe."""

    def __init__(self, size: int) -> None:
        self._entries: deque[tuple[StreamPosition, Posted]] = deque()
        self._size = size
        self.head: str | None = None
        self._ends: tuple[StreamPosition, StreamPosition] | None = None

    def reset(self, place: str | None) -> None:
        """Drop all entries and start after ``place``; with ``None`` there is no window until the next reset."""
        self._entries.clear()
        self.head = place
        self._ends = (order(place), order(place)) if place else None

    def extend(self, page: Iterable[Posted]) -> None:
        """Add the next entries, and drop the oldest beyond its size. Without a window nothing is added."""
        if self._ends is None:
            return
        floor, head = self._ends
        for posted in page:
            head = order(posted.stream_id)
            self._entries.append((head, posted))
            self.head = posted.stream_id
        while len(self._entries) > self._size:
            floor = self._entries.popleft()[0]
        self._ends = floor, head

    def after(self, position: str) -> list[Posted] | None:
        """All entries after ``position``; ``None`` if the window does not reach back that far."""
        place = order(position)
        if self._ends is None or not self._ends[0] <= place <= self._ends[1]:
            return None
        found: list[Posted] = []
        for at, posted in reversed(self._entries):
            if at <= place:
                break
            found.append(posted)
        return found[::-1]
