"""Where callbacks go while Redis cannot take them: files on this machine, each record synced before it is answered.

``Spool`` is the writing side, ``Drainer`` (``app.spool.drain``) the other. The folder belongs to one
installation on one machine, any number of processes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from app.spool.aside import ASIDE, Counter, SetAside
from app.spool.files import FILE_BYTES, SUFFIX, OwnFile, make_folder

log = logging.getLogger(__name__)

Condition = Literal["none", "ok", "full", "unwritable"]

_FILE_S = 1.0
"""… or at this age: a record waits that much longer than Redis is away."""
_LOOK_S = 0.2
_ANEW = 3
"""Files that are tried for one record, while somebody removes the folder again and again."""
_ROOM = 16 * 2**10
"""Less than this below the limit counts as full: the next callback may not fit."""


class NoRoom(Exception):
    """The spool takes nothing: at its limit, or its disk does not take it. The message says which."""


class Spool:
    """The files of this process, within a limit that all processes share."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._aside = Counter(folder)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A fork must not write into the file of its parent, nor wait for a lock that a thread of the parent held.
        self._lock = threading.Lock()
        self._file: OwnFile | None = None
        self._total = 0
        self._looked = 0.0

    def append(self, payload: bytes, *, share: float = 1.0) -> None:
        """Return when ``payload`` is on the disk. Raises ``NoRoom``; then it is not kept. What matters less than others
        may take only its ``share`` of the limit."""
        try:
            for _ in range(_ANEW):
                with self._lock:
                    self._check_limit(len(payload), share)
                    file = self._current()
                    upto = self._write(file, payload)
                file.sync(upto)
                if file.is_there():
                    return
                log.warning("%s was removed while in use; writing its last record to a new file", file.path)
                self._give_up(file)
        except OSError as error:
            raise NoRoom(f"the spool cannot be written: {error.strerror or error}") from error
        raise NoRoom("the spool folder keeps being removed: check SPOOL_DIR for clean-up jobs")

    def hand_over(self, *, at_once: bool = False) -> None:
        """Close this process's file, when it is old enough, so that it can be drained."""
        with self._lock:
            if self._file and (at_once or time.monotonic() - self._file.opened >= _FILE_S):
                self._drop()

    def waiting(self) -> int:
        """Bytes that wait to be taken in."""
        return self._sizes()[0]

    def set_aside(self) -> SetAside:
        """What was set aside: it waits for a person, or for Redis to take it after all."""
        return self._aside.count()

    def _sizes(self) -> tuple[int, int]:
        """Bytes that wait, and bytes that are set aside."""
        waiting = aside = 0
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    try:
                        size = entry.stat().st_size
                    except FileNotFoundError:
                        continue  # drained meanwhile
                    if entry.name.endswith(ASIDE):
                        aside += size
                    else:
                        waiting += size
        except FileNotFoundError:
            return 0, 0
        return waiting, aside

    def _taken(self) -> int:
        """What counts against the limit. What is set aside has as much room of its own; beyond that it takes from the
        rest, so that nothing has to be thrown away."""
        waiting, aside = self._sizes()
        return waiting + max(0, aside - self._limit)

    def condition(self) -> tuple[Condition, int]:
        """Whether a callback could be kept here now, by a real write; and the bytes that wait."""
        waiting = 0
        probe = self.folder / f"probe-{os.getpid()}-{threading.get_ident()}"
        try:
            waiting = self.waiting()
            if self._taken() + _ROOM > self._limit:
                return "full", waiting
            make_folder(self.folder)
            try:
                probe.write_bytes(bytes(_ROOM))
            finally:
                probe.unlink(missing_ok=True)
        except OSError:
            return "unwritable", waiting
        return "ok", waiting

    def _check_limit(self, size: int, share: float) -> None:
        # The others' files are looked at a few times a second only: together, processes may pass the limit by what
        # they take in that time.
        now = time.monotonic()
        if now - self._looked > _LOOK_S:
            self._total, self._looked = self._taken(), now
        if self._total + size > self._limit * share:
            raise NoRoom("the spool is full (SPOOL_MAX)")

    def _current(self) -> OwnFile:
        file = self._file
        if file and (file.broken or file.size >= FILE_BYTES or time.monotonic() - file.opened >= _FILE_S):
            self._drop()
        if self._file is None:
            make_folder(self.folder)
            self._file = OwnFile(self.folder)
        return self._file

    def _write(self, file: OwnFile, payload: bytes) -> int:
        before = file.size
        try:
            upto = file.write(payload)
        except OSError:
            self._drop()
            raise
        self._total += upto - before
        return upto

    def _give_up(self, file: OwnFile) -> None:
        # It may not sync any more: its disk is gone, perhaps.
        with self._lock, suppress(OSError):
            if self._file is file:
                self._drop()

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file:
            file.close()


__all__ = ["SUFFIX", "Condition", "NoRoom", "SetAside", "Spool"]
