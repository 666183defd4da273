"""Records that are set aside: those that Redis rejects for their content, those that this version cannot read, and
stretches that the disk has damaged. None is dropped, and none delays others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from app.spool.files import SUFFIX, OwnFile
from app.spool.frames import Frame, scan

RECORDS, DAMAGED = ".aside", ".damaged"
ASIDE = (RECORDS, DAMAGED)

_FILE_BYTES = 32 * 2**10
"""Size at which a new file is begun. A file is retried as a whole while others wait: a few dozen records at most."""
_FIRST_S, _LONGEST_S = 5.0, 3600.0
"""Back-off between retries of a file, in seconds; it doubles each time."""
_READINGS = 5
"""Readings of the whole folder while files disappear from it; after them, those that are there count."""

Read = TypeVar("Read")


class SetAside(Struct, frozen=True):
    """How many records are set aside, and their size; a damaged stretch counts as one record."""

    records: int = 0
    bytes: int = 0


def aside_files(folder: Path, *suffixes: str) -> list[Path]:
    """Files that this or an earlier release set aside, oldest first."""
    return sorted(path for suffix in suffixes or ASIDE for path in folder.glob(f"*{suffix}"))


def each_set_aside(folder: Path, read: Callable[[Path], Read]) -> list[Read]:
    """What ``read`` returns for every file, oldest first, without losing one that is retried meanwhile: a retry writes
    what is left of a file to a new one, then deletes the old one, so the folder is read again when a file is missing.
    """
    for _ in range(_READINGS):
        try:
            return [read(path) for path in aside_files(folder)]
        except FileNotFoundError:
            continue
    return list(_each_that_is_there(folder, read))


def _each_that_is_there(folder: Path, read: Callable[[Path], Read]) -> Iterator[Read]:
    for path in aside_files(folder):
        with suppress(FileNotFoundError):
            yield read(path)


def payloads(path: Path) -> Iterator[bytes]:
    """Every whole record of a file."""
    for found in scan(path.read_bytes()):
        if isinstance(found, Frame):
            yield found.payload


class Counter:
    """Counts records that are set aside. A file is read again only if its size has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, int], int] = {}

    def count(self) -> SetAside:
        self._known = dict(each_set_aside(self._folder, self._counted))
        return SetAside(sum(self._known.values()), sum(size for _, size in self._known))

    def _counted(self, path: Path) -> tuple[tuple[str, int], int]:
        key = (path.name, path.stat().st_size)
        return key, self._known[key] if key in self._known else _records(path)


def _records(path: Path) -> int:
    return 1 if path.suffix == DAMAGED else sum(1 for _ in payloads(path))


class Writer:
    """Records that a drainer sets aside. They count only after ``keep``; until then their sources must stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[OwnFile] = []

    def add(self, payload: bytes) -> None:
        if not self._files or self._files[-1].size >= _FILE_BYTES:
            self._files.append(OwnFile(self._folder, RECORDS))
        self._files[-1].write(payload)

    def keep(self) -> list[Path]:
        """Sync everything that was added; returns the files. Raises ``OSError``."""
        for file in self._files:
            file.sync()
            if not file.is_there():
                raise OSError(f"{file.path} was removed while it was written")
        kept, self._files = self._files, []
        for file in kept:
            file.close()
        return [file.path for file in kept]

    def drop(self) -> None:
        """Delete what was added: the records are still in their sources, and will be set aside again."""
        dropped, self._files = self._files, []
        for file in dropped:
            file.close()
            file.path.unlink(missing_ok=True)


class Retries:
    """When each file is retried. In memory only: a new process, perhaps of a release that can read them, retries all at
    once."""

    def __init__(self) -> None:
        self._pauses: dict[Path, tuple[float, float]] = {}
        self._pause = 0.0

    def due(self, folder: Path) -> list[Path]:
        """Due files with the same back-off, so that the records that fail again can share the next one."""
        files, now = aside_files(folder, RECORDS), time.monotonic()
        self._pauses = {path: self._pauses[path] for path in files if path in self._pauses}
        due = [path for path in files if self._of(path)[1] <= now]
        if due:
            self._pause = self._of(due[0])[0]
        return [path for path in due if self._of(path)[0] == self._pause]

    def begin(self, paths: list[Path], *, again: bool) -> None:
        """Start the back-off of files just set aside: for the first time, or ``again`` by a retry of the due ones."""
        pause = min(max(2 * self._pause, _FIRST_S), _LONGEST_S) if again else _FIRST_S
        self._pauses |= {path: (pause, time.monotonic() + pause) for path in paths}

    def _of(self, path: Path) -> tuple[float, float]:
        return self._pauses.get(path, (0.0, 0.0))


def retry_set_aside(path: Path) -> bool:
    """Make the file pending again; the web process that drains replays it. False: it has just retried it by itself."""
    try:
        path.rename(path.with_suffix(SUFFIX))
    except FileNotFoundError:
        return False
    return True
