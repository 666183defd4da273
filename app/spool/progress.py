"""How far each spool file has been replayed, and up to where Redis has it durably."""

from __future__ import annotations

from pathlib import Path


class Progress:
    """Positions in files, in bytes. In memory only: after a crash a file is replayed from its start, as duplicates."""

    def __init__(self) -> None:
        self._certain: dict[Path, int] = {}
        self._reached: dict[Path, int] = {}
        self._finished: list[Path] = []

    def reached(self, path: Path) -> int:
        """Where to continue."""
        return self._reached.get(path, 0)

    def reach(self, path: Path, position: int) -> None:
        """Everything before ``position`` has been replayed."""
        self._reached[path] = position

    def finish(self, path: Path) -> None:
        """The whole file has been replayed."""
        self._finished.append(path)

    def commit(self) -> list[Path]:
        """Everything replayed so far is durable. Returns the files that may be deleted."""
        done, self._finished = self._finished, []
        for path in done:
            self._reached.pop(path, None)
        self._certain = dict(self._reached)
        return done

    def undo(self) -> None:
        """Redis may have lost what was replayed since the last ``commit``."""
        self._reached = dict(self._certain)
        self._finished = []
