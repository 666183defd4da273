"""Callbacks on the local disk while Redis is unavailable; each is synced before it is answered.

``Spool`` writes, ``Drainer`` (``app.spool.drain``) replays. The folder belongs to one installation on one host; any
number of its processes share it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from app.spool.aside import Counter, SetAside
from app.spool.files import FILE_BYTES, SUFFIX, OwnFile, make_folder
from app.spool.frames import OVERHEAD
from app.spool.room import Room

log = logging.getLogger(__name__)

Condition = Literal["none", "ok", "full", "unwritable"]
T = TypeVar("T")

_FILE_S = 1.0
"""Age in seconds at which a file is closed: its records may stay pending for that long after the outage."""
_ATTEMPTS = 3
"""Files tried for one batch if the folder is removed during the write."""
_PROBE = bytes(16 * 2**10)


class NoRoom(Exception):
    """The spool did not store the record: its limit is reached, or its disk fails. The message says which."""


class Blocking(Protocol):
    """Runs ``work(*args)``, which waits for the disk; where threads are greenlets, in a native thread."""

    def __call__(self, work: Callable[..., T], /, *args: object) -> T: ...


def direct(work: Callable[..., T], /, *args: object) -> T:
    """On the calling thread."""
    return work(*args)


class _Append(Struct, eq=False):
    """One caller's record. ``error`` is ``None`` once it is synced."""

    payload: bytes
    share: float
    done: bool = False
    error: NoRoom | None = None


class Spool:
    """This process's file in the folder, and the limit that all processes share.

    Callers commit in groups: one of them writes and syncs the records of all who wait, the others sleep until it has.
    So the file is used by one thread at a time, and all its disk work is one call through ``blocking``.
    """

    def __init__(self, folder: Path, limit: int, *, blocking: Blocking = direct) -> None:
        self.folder = folder
        self.blocking = blocking
        self._room = Room(folder, limit)
        self._aside = Counter(folder)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A forked child must not write to its parent's file, nor wait for a lock that a thread of the parent held.
        self._turn = threading.Condition()
        self._busy = False
        self._waiting: list[_Append] = []
        self._file: OwnFile | None = None

    def append(self, payload: bytes, *, share: float = 1.0) -> None:
        """Return when ``payload`` is on the disk, within ``share`` of the limit. Raises ``NoRoom``."""
        own = _Append(payload, share)
        with self._turn:
            self._waiting.append(own)
            self._turn.wait_for(lambda: own.done or not self._busy)
            if leads := not own.done:
                self._busy = True
                batch, self._waiting = self._waiting, []
        if leads:
            self._lead(batch)
        if own.error:
            raise own.error

    def hand_over(self, *, at_once: bool = False) -> None:
        """Close this process's file if it is old enough, so that it can be drained."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)
            if self._file and (at_once or self._file.age() >= _FILE_S):
                self._drop()

    def waiting(self) -> int:
        """How many bytes are pending."""
        return self.blocking(self._room.sizes)[0]

    def oldest_s(self) -> float:
        """How long (seconds) the oldest pending record has waited."""
        return self.blocking(self._room.oldest_s)

    def set_aside(self) -> SetAside:
        """The records that are set aside: they wait until Redis or a person acts."""
        return self.blocking(self._aside.count)

    def condition(self) -> tuple[Condition, int]:
        """Whether a callback could be stored now, probed by a real write; and the number of bytes that are pending."""
        return self.blocking(self._condition)

    def _condition(self) -> tuple[Condition, int]:
        pending = 0
        probe = self.folder / f"probe-{os.getpid()}-{threading.get_ident()}"
        try:
            pending, _ = self._room.sizes()
            if self._room.full():
                return "full", pending
            make_folder(self.folder)
            try:
                probe.write_bytes(_PROBE)
            finally:
                probe.unlink(missing_ok=True)
        except OSError:
            return "unwritable", pending
        return "ok", pending

    def _lead(self, batch: list[_Append]) -> None:
        for each in batch:
            each.error = NoRoom("the write to the spool was interrupted")
        try:
            self.blocking(self._commit, batch)
        finally:
            with self._turn:
                self._busy = False
                for each in batch:
                    each.done = True
                self._turn.notify_all()

    def _commit(self, batch: list[_Append]) -> None:
        """Write all that fit, sync once, and check that the drainer will find the file. Takes no lock."""
        left = [each for each in batch if self._fits(each)]
        for _ in range(_ATTEMPTS):
            if not left:
                return
            try:
                file = self._current()
                left = [each for each in left if self._write(file, each)]
                file.sync()
                there = file.is_there()
            except FileNotFoundError:
                log.warning("%s was removed while a file was made in it; trying again", self.folder)
                continue
            except OSError as error:
                self._drop()
                _fail(left, _unwritable(error))
                return
            if there:
                _fail(left, None)
                return
            log.warning("%s was removed while in use; writing its last records to a new file", file.path)
            self._drop()
        _fail(left, "the spool folder keeps being removed: check SPOOL_DIR for clean-up jobs")

    def _fits(self, each: _Append) -> bool:
        try:
            if self._room.reserve(len(each.payload) + OVERHEAD, each.share):
                return True
            _fail([each], "the spool is full (SPOOL_MAX)")
        except OSError as error:
            _fail([each], _unwritable(error))
        return False

    def _current(self) -> OwnFile:
        if self._file and (self._file.size >= FILE_BYTES or self._file.age() >= _FILE_S):
            self._drop()
        if self._file is None:
            make_folder(self.folder)
            self._file = OwnFile(self.folder)
        return self._file

    def _write(self, file: OwnFile, each: _Append) -> bool:
        try:
            file.write(each.payload)
        except OSError as error:
            _fail([each], _unwritable(error))
            return False
        return True

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file:
            with suppress(OSError):  # it is synced, or was given up
                file.close()


def _fail(batch: list[_Append], why: str | None) -> None:
    for each in batch:
        each.error = NoRoom(why) if why else None


def _unwritable(error: OSError) -> str:
    return f"the spool cannot be written: {error.strerror or error}"


__all__ = ["SUFFIX", "Blocking", "Condition", "NoRoom", "SetAside", "Spool"]
