"""Draining the spool: one process on each host replays its records as if they had just arrived."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from redis.exceptions import RedisError

from app.redis.durable import Durable
from app.spool import SUFFIX, Spool
from app.spool.aside import DAMAGED, Retries, Writer
from app.spool.files import NEW, keep_bytes, try_lock
from app.spool.frames import Damage, Frame, scan
from app.spool.installation import Installation
from app.spool.lock import FolderLock
from app.spool.progress import Progress
from app.spool.record import with_reason
from app.spool.replay import Away, Drained, Replay, StoreFull
from app.store.accept.acceptor import Acceptor
from app.store.refusals.refusals import Refusals

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_AWAY_S = 1.0
_SETTLE_S = 2.0
"""Seconds of work that may have to be repeated if Redis becomes unavailable."""
_ASIDE_S = 0.25
"""Seconds of work on files that are set aside, after which newer records go first."""

_ABANDONED_S = 60.0


class Drainer:
    """A thread of each web process. The one that holds the folder's lock drains the files of all processes, also of
    dead ones.

    A Redis that dies may lose what it answered last. So a file is deleted only after a later write is safe, on the same
    Redis; until then its records are replayed, as duplicates. A record that Redis rejects for its content is set aside
    at once, and retried when no other is pending. ``drained`` is called with each outcome; ``revoked`` are fingerprints
    of tokens that are refused in any case.
    """

    def __init__(
        self,
        spool: Spool,
        acceptor: Acceptor,
        refusals: Refusals,
        durable: Durable,
        drained: Drained,
        *,
        installation: Installation | None = None,
        revoked: frozenset[str] = frozenset(),
    ) -> None:
        self._spool = spool
        self._lock = FolderLock(spool.folder)
        self._replay = Replay(acceptor, refusals, drained, revoked)
        self._durable = durable
        self._drained = drained
        self._installation = installation
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._pid = 0
        self._progress = Progress()
        self._aside = Writer(spool.folder)
        self._retries = Retries()
        self._again = False
        self._server = ""
        self._settled = 0.0

    def start(self) -> None:
        """Start the thread, unless this process has done so: threads do not survive a fork."""
        with self._starting:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="drainer", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Finish the current record, and hand over this process's own file."""
        self._stop.set()
        if self._thread:
            self._thread.join(5)
        self._spool.hand_over(at_once=True)

    def _run(self) -> None:
        introduced = False
        while not self._stop.is_set():
            pause = _LOOK_S
            try:
                self._spool.hand_over()
                introduced = introduced or self._introduce()
                if self._lock.take():
                    self.step()
            except Away as error:
                log.debug("the spool waits: %s", error)
                pause = _AWAY_S
            except Exception:
                # The disk may be failing; the records stay, and are retried.
                log.exception("draining failed")
                pause = _AWAY_S
            self._stop.wait(pause)
        self._lock.release()

    def step(self) -> None:
        """Drain every file that no living process writes, oldest first; then those set aside that are due. Raises
        ``Away``."""
        _sweep(self._spool.folder)
        waiting = sorted(self._spool.folder.glob(f"*{SUFFIX}"))
        due = self._retries.due(self._spool.folder)
        if not waiting and not due:
            return
        self._check_owner()
        # A record that is replayed too early leaves a history entry.
        self._server = self._make_safe()
        try:
            for path in waiting:
                self._drain(path)
            self._settle()
            self._try_again(due)
        except Exception as error:
            if isinstance(error, StoreFull):
                # Else what it has stored would be replayed every second, and fill the jobs' histories with duplicates.
                with suppress(Away):
                    self._settle()
            self._progress.undo()
            self._aside.drop()
            raise

    def _try_again(self, due: list[Path]) -> None:
        until, self._again = time.monotonic() + _ASIDE_S, True
        try:
            for path in due:
                self._drain(path)
                if time.monotonic() > until:
                    break
            self._settle()
        finally:
            self._again = False

    def _introduce(self) -> bool:
        """Compare the ids of Redis and this folder, once Redis is available; the first start of an installation makes
        one for both."""
        try:
            return not self._installation or bool(self._installation.state())
        except RedisError:
            return False

    def _check_owner(self) -> None:
        """Raise ``Away`` if the records are of another installation: they do not belong in this Redis."""
        if self._installation:
            try:
                state = self._installation.state()
            except RedisError as error:
                raise Away(str(error)) from error
            if state == "foreign":
                raise Away(self._installation.explain(state))

    def _make_safe(self) -> str:
        """Wait until everything so far is as durable as ``DURABILITY`` promises. Returns the run id of the server."""
        try:
            server = self._durable.settle()
        except RedisError as error:
            raise Away(str(error)) from error
        if server is None:
            raise Away(f"DURABILITY {self._durable.level} is not reached")
        self._settled = time.monotonic()
        return server

    def _settle(self) -> None:
        if self._make_safe() != self._server:
            raise Away("Redis was restarted; its last records are replayed")
        self._retries.begin(self._aside.keep(), again=self._again)
        for path in self._progress.commit():
            path.unlink(True)
            self._replay.forget(path)

    def _drain(self, path: Path) -> None:
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            if try_lock(fd):  # else its process still writes it
                self._drain_records(path)
        finally:
            os.close(fd)

    def _drain_records(self, path: Path) -> None:
        for found in scan(path.read_bytes(), self._progress.reached(path)):
            if self._stop.is_set():
                return
            started = time.monotonic()
            if isinstance(found, Damage):
                self._report(path, found)
            else:
                self._replay_frame(path, found)
            self._progress.reach(path, found.end)
            if started - self._settled > _SETTLE_S:
                self._settle()
            # Live traffic keeps half of the time; a slow Redis is asked less.
            self._stop.wait(min(time.monotonic() - started, _AWAY_S))
        self._progress.finish(path)

    def _replay_frame(self, path: Path, frame: Frame) -> None:
        if why := self._replay.record(frame.payload, (path, frame.end)):
            self._set_aside(path, frame, why)

    def _report(self, path: Path, damage: Damage) -> None:
        if damage.torn:
            # The crash came before the answer: this callback was not answered 200.
            log.warning("%s: skipped %d bytes of an incomplete record", path.name, damage.end - damage.start)
            self._drained("torn")
            return
        kept = path.with_suffix(f".{damage.start}{DAMAGED}")
        keep_bytes(kept, path.read_bytes()[damage.start : damage.end])
        log.error(
            "%s: damaged from byte %d to %d; kept as %s", path.name, damage.start, damage.end, kept.name
        )
        self._drained("damaged")

    def _set_aside(self, path: Path, frame: Frame, why: str) -> None:
        self._aside.add(with_reason(frame.payload, why))
        if self._again:
            log.info("a record of %s stays set aside: %s", path.name, why)
            self._drained("still_aside")
        else:
            log.error("a record of %s is set aside; see flask spool list: %s", path.name, why)
            self._drained("set_aside")


def _sweep(folder: Path) -> None:
    """Delete what crashes have left: files that never got their final name."""
    for unnamed in folder.glob(f"*{NEW}"):
        with suppress(FileNotFoundError):
            if time.time() - unnamed.stat().st_mtime > _ABANDONED_S:
                unnamed.unlink()
