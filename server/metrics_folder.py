"""The folder in which the counters of one master's workers add up.

A master that is killed cannot remove its own, and a supervisor that starts it again every second would fill the disk.
So those who use a folder lock it, and a start removes folders without a lock. The lock is the kernel's: it ends
with the last process that holds it, however that ended.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

_LEFT_MAX = 1000
"""Removed by one start at most: some 100 ms. The next start goes on."""


def make(parent: str) -> str:
    """A new folder in ``parent``, in use until this process and the last that it forks have ended."""
    prefix = f"ci-metrics-{os.getuid()}-"
    for left in islice(_left(parent, prefix), _LEFT_MAX):
        shutil.rmtree(left, ignore_errors=True)
    while True:
        path = tempfile.mkdtemp(prefix=prefix, dir=parent)
        # Until it is locked, another start may remove it.
        with suppress(FileNotFoundError):
            _lock(path, wait=True)
            return path


def _left(parent: str, prefix: str) -> Iterator[str]:
    """Folders of this user that are not in use; each is locked while the caller handles it."""
    with os.scandir(parent) as entries:
        paths = [entry.path for entry in entries if entry.name.startswith(prefix)]
    for path in paths:
        try:
            held = _lock(path, wait=False)
        except OSError:
            continue
        try:
            yield path
        finally:
            os.close(held)


def _lock(path: str, *, wait: bool) -> int:
    """The descriptor that holds the lock; closed on exec. Raises OSError for what is in use or not ours, and
    ``FileNotFoundError`` for what another start has removed."""
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        locked, there = os.fstat(held), Path(path).stat()
        if locked.st_ino != there.st_ino:
            raise FileNotFoundError(path)
        if locked.st_uid != os.getuid():
            raise PermissionError(path)
    except OSError:
        os.close(held)
        raise
    return held
