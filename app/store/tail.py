"""One reader of the event stream for each web process; it wakes whoever waits for a job."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable

from app.store.connection import UNAVAILABLE, Database, connect
from app.store.outbox import Outbox

log = logging.getLogger(__name__)

_BLOCK_MS = 5000


class Tail:
    """Starts with the first who waits. Nobody polls: a change is seen as soon as it stands in the stream."""

    def __init__(self, url: str, prefix: str, patience_s: float) -> None:
        self._url, self._prefix, self._patience_s = url, prefix, patience_s
        self._lock = threading.Lock()
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._reader: threading.Thread | None = None
        self.closing = threading.Event()

    def wait(self, job_id: str, seconds: float, ended: Callable[[], bool]) -> None:
        """Return when ``ended()`` is true, after ``seconds``, or when the process is about to stop."""
        until = time.monotonic() + seconds
        woken = threading.Event()
        self._enter(job_id, woken)
        try:
            while not ended() and not self.closing.is_set():
                left = until - time.monotonic()
                if left <= 0 or not woken.wait(left):
                    return
                woken.clear()
        finally:
            self._leave(job_id, woken)

    def close(self) -> None:
        """Answer everyone early: the process is stopping."""
        self.closing.set()
        self._wake_all()

    def _enter(self, job_id: str, woken: threading.Event) -> None:
        with self._lock:
            self._waiting[job_id].add(woken)
            if self._reader is None or not self._reader.is_alive():
                ready = threading.Event()
                self._reader = threading.Thread(target=self._read, args=(ready,), name="tail", daemon=True)
                self._reader.start()
            else:
                return
        ready.wait(self._patience_s)

    def _leave(self, job_id: str, woken: threading.Event) -> None:
        with self._lock:
            self._waiting[job_id].discard(woken)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def _read(self, ready: threading.Event) -> None:
        outbox = Outbox(Database(connect(self._url, timeout=None), self._prefix))
        position: str | None = None
        while not self.closing.is_set():
            try:
                position = position or outbox.last_id()
                ready.set()
                for posted in outbox.after(position, count=500, block_ms=_BLOCK_MS):
                    position = posted.stream_id
                    self._wake(posted.event.job_id)
            except UNAVAILABLE:
                # What came meanwhile may be missed, so everyone looks for himself.
                self._wake_all()
                position = None
                time.sleep(0.5)

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for woken in self._waiting.get(job_id, ()):
                woken.set()

    def _wake_all(self) -> None:
        with self._lock:
            for group in self._waiting.values():
                for woken in group:
                    woken.set()
