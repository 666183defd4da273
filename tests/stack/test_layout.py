"""What ``make run`` leaves in the temporary folder of a machine, and removes."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stack.layout import Layout, remove_dead_sockets

AN_HOUR_AGO = (0, 0)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path: that of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def _socket(stack: ExitStack, temporary: Path, checkout: str, *, listens: bool) -> Path:
    """Where the stack of a checkout with a path too long for a socket has it."""
    path = Layout(Path("/" + checkout * 100), 8000, 8001).socket
    assert path.parent == temporary
    server = stack.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(str(path))
    if listens:
        server.listen()
    return path


def test_a_start_removes_the_sockets_of_dead_servers_only(temporary: Path) -> None:
    """A server that has just bound its socket does not listen yet: it is left alone too."""
    with ExitStack() as stack:
        dead = _socket(stack, temporary, "dead", listens=False)
        starting = _socket(stack, temporary, "starting", listens=False)
        living = _socket(stack, temporary, "living", listens=True)
        for path in (dead, living):
            os.utime(path, AN_HOUR_AGO)
        foreign = temporary / "another.sock"
        foreign.touch()
        remove_dead_sockets()
        assert set(temporary.iterdir()) == {starting, living, foreign}
