"""One reader of the event stream for each web process; it wakes waiting clients and feeds listeners."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from app.redis.connection import UNAVAILABLE, connect
from app.store.database import Database
from app.store.events.outbox import Outbox, Posted, order

log = logging.getLogger(__name__)

_BLOCK_MS = 5000
_PAGE = 200
_AHEAD = 256
"""Events kept ready for one listener. One that is slower reads on from the stream itself, which has them all."""
_TEXTS = 512


class Full(Exception):
    """As many clients wait in this process as may."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events after ``after`` are gone; what follows begins after ``resumed``."""

    after: str
    resumed: str


class Listener:
    """One who wants every event (of one job, or of one tag) after a place in the stream, in order."""

    def __init__(self, outbox: Outbox, after: str, job_id: str | None, tag: str | None) -> None:
        self._woken = threading.Event()
        self._job_id, self._tag = job_id, tag
        self._outbox = outbox
        self._position = after
        self._ready: deque[Posted] = deque()
        # What came before the reader saw this listener is in the stream only.
        self._behind = True
        self._lock = threading.Lock()

    def offer(self, posted: Posted) -> None:
        """Called by the reader for each event: keep what is wanted, or note that this one fell behind."""
        with self._lock:
            if self._behind:
                return
            if not self._wants(posted):
                if not self._ready:
                    self._position = posted.stream_id
                return
            if len(self._ready) < _AHEAD:
                self._ready.append(posted)
            else:
                self._behind = True
        self._woken.set()

    def lost_touch(self) -> None:
        """Called by the reader when it may have missed something."""
        with self._lock:
            self._behind = True
        self._woken.set()

    def next(self, seconds: float) -> list[Posted | Gap]:
        """What comes next; nothing if that takes longer. Raises what Redis says while it is away."""
        if self._behind:
            return self._catch_up()
        self._woken.wait(seconds)
        with self._lock:
            self._woken.clear()
            ready = [each for each in self._ready if order(each.stream_id) > order(self._position)]
            self._ready.clear()
            if ready:
                self._position = ready[-1].stream_id
        return list(ready)

    def _catch_up(self) -> list[Posted | Gap]:
        """One page from the stream itself. The reader's offers count again before the page that may be the last is
        read, so that nothing falls between the two; what comes both ways is dropped by its place."""
        lost, position = self._outbox.resume(self._position)
        with self._lock:
            gap: list[Posted | Gap] = [Gap(self._position, position)] if lost else []
            self._position, self._behind = position, False
            self._ready.clear()
        try:
            page = self._outbox.after(position, count=_PAGE)
        except UNAVAILABLE:
            self.lost_touch()
            raise
        with self._lock:
            if page:
                self._position = page[-1].stream_id
                # There may be more, even where the page looks short: entries that cannot be read are left out of it.
                self._behind = True
        return gap + [each for each in page if self._wants(each)]

    def _wants(self, posted: Posted) -> bool:
        event = posted.event
        return self._job_id in {None, event.job_id} and self._tag in {None, event.tag}


class _Once:
    """Makes a text once, for the first caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text: str | None = None

    def get(self, make: Callable[[], str]) -> str:
        with self._lock:
            if self._text is None:
                self._text = make()
            return self._text


class Tail:
    """Starts with the first who waits. Nobody polls: a change is seen as soon as it stands in the stream.

    ``seats`` is how many may wait at the same time: each holds a thread, and callbacks need some, too.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        patience_s: float,
        seats: int = 1_000_000,
        outside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """``outside()`` is entered for as long as a client waits."""
        self._url, self._prefix, self._patience_s = url, prefix, patience_s
        self._outside = outside
        self._lock = threading.Lock()
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._listeners: set[Listener] = set()
        self._seats = threading.BoundedSemaphore(seats)
        self._reader: threading.Thread | None = None
        self._outbox = Outbox(Database(connect(url, timeout=patience_s), prefix))
        self._texts: OrderedDict[str, _Once] = OrderedDict()
        self.closing = threading.Event()

    def wait(self, job_id: str, seconds: float, ended: Callable[[], bool]) -> None:
        """Return when ``ended()`` is true, after ``seconds``, or when the process is about to stop.

        Raises ``Full``.
        """
        until = time.monotonic() + seconds
        woken = threading.Event()
        with self.seat():
            self._enter(job_id, woken)
            try:
                while not ended() and not self.closing.is_set():
                    left = until - time.monotonic()
                    with self._outside():
                        if left <= 0 or not woken.wait(left):
                            return
                    woken.clear()
            finally:
                self._leave(job_id, woken)

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
        """Hear of every event after that place in the stream. Take a ``seat`` first."""
        listener = Listener(self._outbox, after, job_id, tag)
        with self._lock:
            self._listeners.add(listener)
        try:
            self._start()
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def text(self, stream_id: str, make: Callable[[], str]) -> str:
        """What ``make()`` says of an event, made once for all who listen at about the same time."""
        with self._lock:
            once = self._texts.setdefault(stream_id, _Once())
            if len(self._texts) > _TEXTS:
                self._texts.popitem(last=False)
        return once.get(make)

    def close(self) -> None:
        """Answer everyone early: the process is stopping."""
        self.closing.set()
        self._wake_all()

    def _enter(self, job_id: str, woken: threading.Event) -> None:
        with self._lock:
            self._waiting[job_id].add(woken)
        self._start()

    def _leave(self, job_id: str, woken: threading.Event) -> None:
        with self._lock:
            self._waiting[job_id].discard(woken)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def _start(self) -> None:
        with self._lock:
            if self._reader is not None and self._reader.is_alive():
                return
            ready = threading.Event()
            self._reader = threading.Thread(target=self._read, args=(ready,), name="tail", daemon=True)
            self._reader.start()
        ready.wait(self._patience_s)

    def _read(self, ready: threading.Event) -> None:
        # Longer than the server blocks: a host that vanished without a word would hold this reader for ever.
        timeout = _BLOCK_MS / 1000 + self._patience_s
        outbox = Outbox(Database(connect(self._url, timeout=timeout), self._prefix))
        position: str | None = None
        while not self.closing.is_set():
            try:
                if position is None:
                    position = outbox.last_id()
                    # Listeners that registered earlier read the job themselves.
                    self._wake_all()
                ready.set()
                for posted in outbox.after(position, count=500, block_ms=_BLOCK_MS):
                    position = posted.stream_id
                    self._wake(posted)
            except UNAVAILABLE:
                # What came meanwhile may be missed, and a Redis that came back empty counts from the start.
                position = None
                time.sleep(0.5)

    def _wake(self, posted: Posted) -> None:
        with self._lock:
            for woken in self._waiting.get(posted.event.job_id, ()):
                woken.set()
            for listener in self._listeners:
                listener.offer(posted)

    def _wake_all(self) -> None:
        with self._lock:
            for group in self._waiting.values():
                for woken in group:
                    woken.set()
            for listener in self._listeners:
                listener.lost_touch()
