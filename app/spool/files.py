"""One file of the spool, as the process that writes it sees it."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

from app.spool.frames import encode, new_header

SUFFIX = ".spool"
FILE_BYTES = 4 * 2**20
"""A file is handed to the drainer at this size; it reads whole files into memory."""


class OwnFile:
    """Appended to by this process alone, and locked by it for as long as it is. What is closed may be drained."""

    def __init__(self, folder: Path, suffix: str = SUFFIX) -> None:
        self.opened = time.monotonic()
        self._syncing = threading.Lock()
        self._synced = 0
        self.broken = False
        self._done = False
        self._there = False
        self._header = new_header()
        self.size = len(self._header)
        name = f"{time.time_ns():020d}-{os.getpid()}"
        unnamed, self.path = folder / f"{name}.new", folder / f"{name}{suffix}"
        self._fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            # It gets the name that drainers look for only when it is locked.
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            _write(self._fd, self._header)
            unnamed.rename(self.path)
            sync_folder(folder)
        except OSError:
            os.close(self._fd)
            unnamed.unlink(missing_ok=True)
            raise

    def write(self, payload: bytes) -> int:
        """Append, not synced yet; returns the size to ``sync`` up to. Where that fails the file is as before.

        Not for several threads at once: the caller holds a lock.
        """
        if self.broken:
            raise OSError("the spool file was given up")
        frame = encode(payload, self._header)
        try:
            _write(self._fd, frame)
        except OSError:
            # What is half written would be recognised as torn anyway, but later records are easier to trust so.
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(frame)
        return self.size

    def sync(self, upto: int) -> None:
        """Return when everything up to that size is on the disk. One call to the disk serves all who wait for it."""
        with self._syncing:
            if self._synced < upto:
                self._sync()

    def is_there(self) -> bool:
        """Whether what was synced lies where the drainer looks. Somebody may have removed or replaced the folder: the
        system goes on to write and sync a file that has no name, or another place, and says nothing.

        Of a closed file: whether it did when it was closed. Until then it is locked, and no drainer removes it.
        """
        with self._syncing:
            return self._there if self._done else self._is_there()

    def close(self) -> None:
        """Synced, where the disk still does that, and handed over to the drainer."""
        with self._syncing:
            if self._done:
                return
            try:
                if not self.broken:
                    self._sync()
                    self._there = self._is_there()
            finally:
                self._done = True
                os.close(self._fd)

    def _is_there(self) -> bool:
        ours = os.fstat(self._fd)
        try:
            named = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)

    def _sync(self) -> None:
        if self._done or self.broken:
            raise OSError("the spool file was given up")
        target = self.size
        try:
            os.fsync(self._fd)
        except OSError:
            # The system may have dropped what it could not write: a second try would succeed and mean nothing.
            self.broken = True
            raise
        self._synced = target


def make_folder(folder: Path) -> None:
    """There, its own name on the disk too, readable by nobody else."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """A new file's name is on the disk too."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def keep_bytes(path: Path, data: bytes) -> None:
    """A file with these bytes, on the disk, in the place of what is there."""
    # Several threads of one process may write the same file: each has a name of its own until it is whole.
    unnamed = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        unnamed.rename(path)
    except OSError:
        unnamed.unlink(missing_ok=True)  # On a full disk it would take the room of a callback.
        raise
    sync_folder(path.parent)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
