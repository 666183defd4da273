"""How far the files of the spool are taken in, and how much of that is certain to stay so."""

from __future__ import annotations

from pathlib import Path


class Progress:
    """Positions in files. Kept in memory alone: after a crash a file is taken in from its beginning, as duplicates."""

    def __init__(self) -> None:
        self._certain: dict[Path, int] = {}
        self._reached: dict[Path, int] = {}
        self._finished: list[Path] = []

    def reached(self, path: Path) -> int:
        """Where to go on."""
        return self._reached.get(path, 0)

    def reach(self, path: Path, position: int) -> None:
        """Everything before ``position`` is taken in."""
        self._reached[path] = position

    def finish(self, path: Path) -> None:
        """All of the file is taken in."""
        self._finished.append(path)

    def commit(self) -> list[Path]:
        """What is taken in stays so. Returns the files that are not needed any more."""
        done, self._finished = self._finished, []
        for path in done:
            self._reached.pop(path, None)
        self._certain = dict(self._reached)
        return done

    def undo(self) -> None:
        """What was taken in since the last ``commit`` may be lost."""
        self._reached = dict(self._certain)
        self._finished = []
