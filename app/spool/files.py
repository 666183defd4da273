"""Writing files of the spool, so that what is written survives a loss of power."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

from app.spool.frames import encode, new_header

SUFFIX = ".spool"
NEW = ".new"
"""The end of a file's name until it is complete, or locked."""
FILE_BYTES = 4 * 2**20
"""Size at which a file is closed; the drainer reads whole files into memory."""


class OwnFile:
    """Written by one thread of this process at a time, and locked until it is closed. Errors are ``OSError``."""

    def __init__(self, folder: Path, suffix: str = SUFFIX) -> None:
        self._opened = time.monotonic()
        self._broken = False
        self._header = new_header()
        self.size = len(self._header)
        name = f"{time.time_ns():020d}-{os.getpid()}"
        unnamed, self.path = folder / f"{name}{NEW}", folder / f"{name}{suffix}"
        self._fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            # It gets the name that drainers look for only after it is locked.
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            _write(self._fd, self._header)
            unnamed.rename(self.path)
            sync_folder(folder)
        except OSError:
            os.close(self._fd)
            unnamed.unlink(missing_ok=True)
            raise

    def age(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._opened

    def write(self, payload: bytes) -> None:
        """Append, not synced yet. After an error the file is as before."""
        frame = encode(payload, self._header)
        try:
            _write(self._fd, frame)
        except OSError:
            self._cut()
            raise
        self.size += len(frame)

    def sync(self) -> None:
        """Return when everything written is on the disk. After an error the file is of no further use: the system may
        have dropped what it could not write, and a second call would succeed without having written it."""
        if self._broken:
            raise OSError("the spool file could not be cut back to its last whole record")
        os.fsync(self._fd)

    def is_there(self) -> bool:
        """Whether its path still names it. If the folder was removed or replaced, writing and syncing the nameless file
        still succeeds."""
        return leads_to(self.path, self._fd)

    def close(self) -> None:
        """Hand it over to the drainer. It is not synced."""
        os.close(self._fd)

    def _cut(self) -> None:
        # A reader skips half a record, but files without one need no search for the next.
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self._broken = True


def leads_to(path: Path, fd: int) -> bool:
    """Whether ``path`` names the file that is open as ``fd``."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def try_lock(fd: int) -> bool:
    """Lock the file, unless another process has done so."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_folder(folder: Path) -> None:
    """Create it where it is missing, readable by its owner only, its name synced."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Sync the names of new files."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def keep_bytes(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` atomically; synced. After an error the old one stays."""
    # Several threads of one process may write the same file: each uses its own name until it is complete.
    unnamed = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{NEW}")
    try:
        fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        unnamed.rename(path)
    except OSError:
        unnamed.unlink(missing_ok=True)  # on a full disk it would take a callback's room
        raise
    sync_folder(path.parent)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
