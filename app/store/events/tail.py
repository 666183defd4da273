"""One reader of the event stream for each web process: it wakes waiting clients, and holds the newest events for them.

A listener that is woken reads on from its own position: from the window of the newest events, which all listeners
share, or from Redis if it is further behind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from app.core.once import MadeOnce
from app.redis.connection import UNAVAILABLE, connect
from app.store.database import Database
from app.store.events.outbox import Outbox, Posted, order
from app.store.events.window import Window

log = logging.getLogger(__name__)

_BLOCK_MS = 5000
_PAUSE_S = 0.01
"""A pause after each page: under load one call then reads many events, for the price of one. A single event after a
quiet moment is read at once."""
_LINGER_S = 10.0
"""How long the reader goes on after the last client has stopped waiting."""
_PAGE = 200
_WINDOW = 512
"""Events that the window holds."""
_READING = 8
"""Listeners of a process that read from Redis at the same time. After a restart all of them are behind, and a thousand
of them would need more connections than the pool has."""

Topic = tuple[str | None, str | None]
"""The job id and the tag that events must have; ``None`` is any."""


class Full(Exception):
    """This process has no seat left for another waiting client."""


class Gap(Struct, frozen=True):
    """Events after ``after`` were removed; what follows begins after ``resumed``."""

    after: str
    resumed: str


class Waiter:
    """A client that waits for events of a topic. ``since`` is the position before the event that woke it: no event of
    its topic lies between the position at which it began to wait and that. Changed only under the lock of the tail."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.woken = threading.Event()
        self.since: str | None = None

    def mark(self, since: str | None) -> bool:
        """Note the position from which it reads on once woken; false if it is awake, or was marked before."""
        if self.woken.is_set() or self.since:
            return False
        self.since = since
        return True

    def sleep(self) -> None:
        self.since = None
        self.woken.clear()

    def wants(self, posted: Posted) -> bool:
        job_id, tag = self.topic
        return job_id in {None, posted.event.job_id} and tag in {None, posted.event.tag}


class Listener:
    """Reads every event of its topic after a position in the stream, in order."""

    def __init__(self, tail: Tail, waiter: Waiter, position: str) -> None:
        self._outbox, self._window = tail.outbox, tail.window
        self._lock, self._reading = tail.lock, tail.reading
        self._waiter = waiter
        self._position = position
        # It reads first: events from before its registration wake no listener.
        waiter.woken.set()

    def next(self, seconds: float) -> list[Posted | Gap]:
        """The next events of its topic, at most one page of the stream; empty if none comes within ``seconds``, or if
        the page has none of its topic. Raises ``UNAVAILABLE``."""
        if not self._waiter.woken.wait(seconds):
            return []
        with self._lock:
            self._skip()
            page = self._window.after(self._position)
            head = self._window.head
            if page is not None or head is None or order(self._position) > order(head):
                # From here on the reader wakes it for every event after the head, and when the window is reset.
                self._waiter.sleep()
            if page is not None:
                self._position = head or self._position
        if page is not None:
            return [each for each in page if self._waiter.wants(each)]
        return self._from_redis(head) if head else []

    def _skip(self) -> None:
        since = self._waiter.since
        if since and order(since) > order(self._position):
            self._position = since

    def _from_redis(self, head: str) -> list[Posted | Gap]:
        """One page of the stream in Redis; ``head`` is the window's, read before."""
        try:
            with self._reading:
                is_gap, start = self._outbox.resume(self._position)
                page, end = self._outbox.page(start, count=_PAGE)
        except UNAVAILABLE:
            with self._lock:
                self._waiter.woken.set()
            raise
        gap: list[Posted | Gap] = [Gap(self._position, start)] if is_gap else []
        self._position = end if end != start else max(start, head, key=order)
        with self._lock:
            if end != start or order(self._position) <= order(head):
                self._waiter.woken.set()
        return gap + [each for each in page if self._waiter.wants(each)]


class Tail:
    """The reader starts with the first client that waits, and ends some seconds after the last. It blocks on the stream
    and does not poll.

    ``seats`` bounds the clients that wait at the same time: each holds a connection, and callbacks need some too.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        patience_s: float,
        seats: int = 1_000_000,
    ) -> None:
        self._url, self._prefix, self._patience_s = url, prefix, patience_s
        self.lock = threading.Lock()
        self._waiters: dict[Topic, set[Waiter]] = defaultdict(set)
        self.window = Window(_WINDOW)
        self.reading = threading.BoundedSemaphore(_READING)
        self._seats = threading.BoundedSemaphore(seats)
        self._reader: threading.Thread | None = None
        self._left_at = 0.0
        """When the last client stopped waiting."""
        self.outbox = Outbox(Database(connect(url, timeout=patience_s), prefix))
        self.texts: MadeOnce[str, str] = MadeOnce(_WINDOW)
        """The text that clients are sent, by stream id: made once for all of them."""
        self.closing = threading.Event()

    def wait(self, job_id: str, seconds: float, ended: Callable[[], bool]) -> None:
        """Return when ``ended()`` is true, after ``seconds``, or when the process is about to stop.

        Raises ``Full``.
        """
        until = time.monotonic() + seconds
        with self.seat(), self._registered((job_id, None)) as waiter:
            while not ended() and not self.closing.is_set():
                left = until - time.monotonic()
                if left <= 0 or not waiter.woken.wait(left):
                    return
                with self.lock:
                    waiter.sleep()

    @contextmanager
    def seat(self) -> Iterator[None]:
        """A place to wait. Raises ``Full``."""
        if not self._seats.acquire(blocking=False):
            raise Full
        try:
            yield
        finally:
            self._seats.release()

    @contextmanager
    def listen(self, after: str, job_id: str | None, tag: str | None) -> Iterator[Listener]:
        """A listener for the events after that id of the stream. Take a ``seat`` first."""
        with self._registered((job_id, tag)) as waiter:
            yield Listener(self, waiter, after)

    def close(self) -> None:
        """Answer everyone early: the process is stopping."""
        self.closing.set()
        self._wake_all()

    @contextmanager
    def _registered(self, topic: Topic) -> Iterator[Waiter]:
        waiter = Waiter(topic)
        with self.lock:
            self._waiters[topic].add(waiter)
        try:
            self._start()
            yield waiter
        finally:
            with self.lock:
                self._waiters[topic].discard(waiter)
                if not self._waiters[topic]:
                    del self._waiters[topic]
                self._left_at = time.monotonic()

    def _start(self) -> None:
        with self.lock:
            if self._reader is not None and self._reader.is_alive():
                return
            ready = threading.Event()
            self._reader = threading.Thread(target=self._read, args=(ready,), name="tail", daemon=True)
            self._reader.start()
        ready.wait(self._patience_s)

    def _read(self, ready: threading.Event) -> None:
        # Longer than the server blocks: a host that has vanished must not block this thread permanently.
        timeout = _BLOCK_MS / 1000 + self._patience_s
        outbox = Outbox(Database(connect(self._url, timeout=timeout), self._prefix))
        position: str | None = None
        while not self.closing.is_set() and not self._ended():
            try:
                if position is None:
                    position = outbox.last_id()
                    self._restart(position)
                ready.set()
                page, position = outbox.page(position, count=500, block_ms=_BLOCK_MS)
                self._announce(page)
                time.sleep(_PAUSE_S)
            except UNAVAILABLE:
                # Events may have been missed, and a Redis that has lost its data numbers them from the start.
                position = None
                with self.lock:
                    self.window.reset(None)
                time.sleep(0.5)

    def _ended(self) -> bool:
        """Whether the last client left some time ago. If so the reader ends, and the next client starts another one."""
        with self.lock:
            if self._waiters or time.monotonic() - self._left_at < _LINGER_S:
                return False
            self._reader = None
            self.window.reset(None)
            return True

    def _restart(self, position: str) -> None:
        """From here on the window has every event; clients that were registered before read on from Redis."""
        with self.lock:
            self.window.reset(position)
        self._wake_all()

    def _announce(self, page: list[Posted]) -> None:
        """Add a page to the window, and wake those whose topic it has."""
        marked: list[Waiter] = []
        with self.lock:
            before = self.window.head
            self.window.extend(page)
            for posted in page:
                job_id, tag = posted.event.job_id, posted.event.tag
                # A set: an event without a tag names two of the four twice.
                for topic in {(None, None), (job_id, None), (None, tag), (job_id, tag)}:
                    marked += [each for each in self._waiters.get(topic, ()) if each.mark(before)]
                before = posted.stream_id
        # Without the lock: the first thing that each of them does is to take it.
        for waiter in marked:
            waiter.woken.set()

    def _wake_all(self) -> None:
        with self.lock:
            for group in self._waiters.values():
                for waiter in group:
                    # The window no longer covers that position: the client reads on from its own.
                    waiter.since = None
                    waiter.woken.set()
