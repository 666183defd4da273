"""The lock of a spool folder: the process that holds it drains."""

from __future__ import annotations

import os
from pathlib import Path

from app.spool.files import leads_to, try_lock


class FolderLock:
    """Held until ``release``, or until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "drain.lock"
        self._fd: int | None = None

    def take(self) -> bool:
        """Whether this process holds the lock of the folder that is there now, which may have replaced another one."""
        if self._fd is not None and leads_to(self._path, self._fd):
            return True
        self.release()
        if not self._path.parent.is_dir():
            return False
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not try_lock(fd):
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
