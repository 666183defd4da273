"""What became of each row of a file, kept beside it, so that a run that was killed goes on where it stopped.

The journal is a convenience: it says which rows need not be looked at again. That no row is sent twice is promised by
the marks in the store, which are made before anything is sent; the journal's first line names them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self


class Busy(Exception):
    """Another process works on the same file."""


class NoJournal(ValueError):
    """The file is there, and is not one of our journals."""


class Journal:
    """One line of JSON for each row that has come to an end. ``run`` names its marks in the store."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.run = secrets.token_hex(8)
        self._lock = Lock()
        self._done: dict[str, dict[str, Any]] = {}
        self._file = path.open("a+b") if path else None

    def __enter__(self) -> Self:
        if self._file:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                raise Busy(f"Another process writes {self.path}.") from None
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def done(self, key: str) -> dict[str, Any] | None:
        """The line of a row that CI has taken."""
        return self._done.get(key)

    def note(self, line: dict[str, Any]) -> None:
        """Written at once: it survives the death of this process."""
        if line.get("status") == "submitted":
            self._done[line["key"]] = line
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            with self._lock:
                self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
                self._file.flush()

    def _open(self) -> None:
        assert self._file  # noqa: S101 - for the type checker
        self._file.seek(0)
        text = self._file.read()
        if not text.strip():
            self._write({"journal": 1, "run": self.run})
            os.fsync(self._file.fileno())
            return
        lines = [_parsed(line) for line in text.splitlines()]
        if not lines[0] or "run" not in lines[0]:
            raise NoJournal(f"{self.path} is not a journal of `flask submit`; name another with --resume.")
        self.run = str(lines[0]["run"])
        self._done = {line["key"]: line for line in lines if line and line.get("status") == "submitted"}
        if not text.endswith(b"\n"):
            # The line that was being written when the last run died.
            self._file.write(b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
