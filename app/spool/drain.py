"""Taking in what was spooled: one process on each machine, record by record, as if it had come just now."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from redis.exceptions import NoPermissionError, RedisError

from app.core.clock import now_ms
from app.redis.connection import UNAVAILABLE
from app.redis.durable import Durable
from app.spool import SUFFIX, Spool
from app.spool.aside import DAMAGED, Retries, Writer
from app.spool.files import keep_bytes
from app.spool.frames import Damage, Frame, scan
from app.spool.installation import Installation
from app.spool.progress import Progress
from app.spool.record import Unreadable, unpack, with_reason
from app.store.jobs.accept import Acceptor, News, NotBelieved, NotDurable, Unavailable
from app.store.refusals.refusal import Refusal
from app.store.refusals.refusals import Refusals

log = logging.getLogger(__name__)

_LOOK_S = 0.25
_AWAY_S = 1.0
_SETTLE_S = 2.0
"""So much work is done again, at most, when Redis goes away in the middle of it."""
_TRIES = 3
"""A record is set aside when Redis fails so often for it alone, and takes another write before each time."""
_ASIDE_S = 0.25
"""After so much work on files that are set aside, what has come meanwhile goes first."""

_AWAY = (*UNAVAILABLE, NoPermissionError)
"""Not the record's fault: Redis is not there, cannot write, or does not let this user write."""

_ABANDONED_S = 60.0
_LOCK = "drain.lock"

Drained = Callable[[str], None]


class Away(Exception):
    """Redis cannot take it now; everything stays where it is."""


class Drainer:
    """A thread of each web process; the one that holds the folder's lock drains the files of all, dead ones too.

    A record is done when the store has taken it in and cannot forget it any more: a Redis that dies just then may lose
    what it answered last. So a file goes only after a write behind it is safe, on the same Redis; what is not certain
    is taken in again, as duplicates. A record that Redis refuses for its own sake is set aside at once, and tried again
    when nothing else waits. ``drained`` hears each outcome; ``revoked`` are tokens that are refused in any case.
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
        self._acceptor = acceptor
        self._durable = durable
        self._refusals = refusals
        self._drained = drained
        self._installation = installation
        self._revoked = revoked
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._pid = 0
        self._progress = Progress()
        self._aside = Writer(spool.folder)
        self._retries = Retries()
        self._again = False
        self._suspect: tuple[Path, int] | None = None
        self._suspected = 0
        self._server = ""
        self._settled = 0.0

    def start(self) -> None:
        """Begin, unless this very process has begun already: threads do not survive a fork."""
        with self._starting:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="drainer", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Finish the record in hand, and hand over this process's own file."""
        self._stop.set()
        if self._thread:
            self._thread.join(5)
        self._spool.hand_over(at_once=True)

    def _run(self) -> None:
        lock: int | None = None
        introduced = False
        while not self._stop.is_set():
            pause = _LOOK_S
            try:
                self._spool.hand_over()
                introduced = introduced or self._introduce()
                lock = self._still(lock) or self._lock()
                if lock:
                    self.step()
            except Away as error:
                log.debug("the spool waits: %s", error)
                pause = _AWAY_S
            except Exception:
                # The disk may be failing; what is spooled stays, and is tried again.
                log.exception("draining failed")
                pause = _AWAY_S
            self._stop.wait(pause)
        if lock:
            os.close(lock)

    def _lock(self) -> int | None:
        """The folder's lock, held until this process ends, however it ends."""
        if not self._spool.folder.is_dir():
            return None
        fd = os.open(self._spool.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def _still(self, lock: int | None) -> int | None:
        """The lock, unless it lies in a folder that was removed or replaced: others lock the new one."""
        if lock is None:
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (self._spool.folder / _LOCK).stat()):
                return lock
        os.close(lock)
        return None

    def step(self) -> None:
        """Drain every file that no living process writes, oldest first; then what is set aside and due again. Raises
        ``Away``."""
        _sweep(self._spool.folder)
        waiting = sorted(self._spool.folder.glob(f"*{SUFFIX}"))
        due = self._retries.due(self._spool.folder)
        if not waiting and not due:
            return
        self._check_owner()
        # A record that is tried too early leaves an entry.
        self._server = self._make_safe()
        try:
            for path in waiting:
                self._drain(path)
            self._settle()
            self._try_again(due)
        except Exception:
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
        """Once Redis is there, this folder and it have an id; the first start of an installation makes it."""
        try:
            return not self._installation or bool(self._installation.state())
        except RedisError:
            return False

    def _check_owner(self) -> None:
        """What another installation has spooled does not belong into this Redis."""
        if self._installation:
            try:
                state = self._installation.state()
            except RedisError as error:
                raise Away(str(error)) from error
            if state == "foreign":
                raise Away(self._installation.explain(state))

    def _make_safe(self) -> str:
        """Which Redis it is that has everything up to now as safely as promised."""
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
            raise Away("Redis was started anew; what it was given last is given again")
        self._retries.begin(self._aside.keep(), again=self._again)
        for path in self._progress.commit():
            path.unlink(missing_ok=True)

    def _drain(self, path: Path) -> None:
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # its process still writes it
        else:
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
                self._bring_in(path, found)
            self._progress.reach(path, found.end)
            if started - self._settled > _SETTLE_S:
                self._settle()
            # Half of the time belongs to live traffic; a Redis that is slow is asked less.
            self._stop.wait(min(time.monotonic() - started, _AWAY_S))
        self._progress.finish(path)

    def _bring_in(self, path: Path, frame: Frame) -> None:
        try:
            record = unpack(frame.payload)
            if isinstance(record, Refusal):
                self._note(record)
            else:
                self._take_in(record)
        except Away:
            raise
        except _AWAY as error:
            if not self._is_its_own_fault(path, frame):
                raise Away(str(error)) from error
            self._set_aside(path, frame, f"Redis fails for it alone: {error}")
        except (Unreadable, RedisError) as error:
            self._set_aside(path, frame, str(error))
        except Exception as error:
            log.exception("a record of %s could not be drained", path.name)
            self._set_aside(path, frame, f"{type(error).__name__}: {error}")

    def _is_its_own_fault(self, path: Path, frame: Frame) -> bool:
        """Whether Redis has failed for this record in several steps, each of which began with a write that it took."""
        suspect = (path, frame.end)
        self._suspected = self._suspected + 1 if suspect == self._suspect else 1
        self._suspect = suspect
        return self._suspected >= _TRIES

    def _take_in(self, news: News) -> None:
        if news.token in self._revoked:
            self._refuse(news, "revoked_token")
            return
        try:
            outcomes = self._acceptor.accept(news)
        except NotBelieved as error:
            self._refuse(news, error.reason)
        except NotDurable as error:
            raise Away(str(error)) from error
        except Unavailable as error:
            if isinstance(error.__cause__, RedisError):
                raise error.__cause__ from None
            raise Away(str(error)) from error
        else:
            for outcome in outcomes:
                self._drained(outcome)

    def _refuse(self, news: News, reason: str) -> None:
        self._note(
            Refusal(
                reason,
                "Found when it was taken from the spool.",
                token=news.token or "",
                # What else its token was made for was checked before it was spooled.
                binding={"submission": news.submission} if news.submission else {},
                job_ids=tuple(detail.report.job_id for detail in news.details),
                body=news.body,
                whole=True,
                # The same however often it is drained.
                id=blake2b(
                    f"{news.token} {news.received_ms} ".encode() + news.body, digest_size=6
                ).hexdigest(),
                received_ms=news.received_ms or now_ms(),
                spooled_ms=news.received_ms,
            )
        )

    def _note(self, refusal: Refusal) -> None:
        self._refusals.note(refusal)
        self._drained("refused")

    def _report(self, path: Path, damage: Damage) -> None:
        if damage.torn:
            # The crash came before the answer, so no callback with this record was answered 200.
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
    """What a crash has left behind: files that never got a name."""
    for unnamed in folder.glob("*.new"):
        with suppress(FileNotFoundError):
            if time.time() - unnamed.stat().st_mtime > _ABANDONED_S:
                unnamed.unlink()
