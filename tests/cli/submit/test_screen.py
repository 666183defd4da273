"""What a terminal of 80 columns shows while a file is submitted."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import ROOT
from tests.cli.submit.conftest import command

ROWS = 12
RESULT = re.compile(r"\d+\tj[0-9a-f]+")


class Screen(NamedTuple):
    """A process writes to ``end``; ``shown`` is all of its output."""

    end: int
    shown: bytearray


@contextmanager
def screen() -> Iterator[Screen]:
    """A pseudo-terminal, read all the time; ``shown`` is whole when the block is over."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                return
            if not part:
                return
            shown.extend(part)

    reader = Thread(target=read, daemon=True)
    reader.start()
    try:
        yield Screen(theirs, shown)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


@pytest.fixture
def started(settings: Settings, ci: Emulated, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    path = tmp_path / "jobs.csv"
    rows = (f"in/{n}.mp3,out/{n}.mp3\n" for n in range(ROWS))
    path.write_text("input.object,output.au_object\n" + "".join(rows))
    argv, variables = command(
        settings, "submit", "voice-separate", "--audio-mode", "IsAudio", "--from", str(path)
    )
    variables.pop("COLUMNS", None)
    return argv, variables | {"TERM": "xterm"}


def test_results_on_a_terminal_get_no_bar(started: tuple[list[str], dict[str, str]]) -> None:
    """Every line is one result, or the summary at the end."""
    argv, variables = started
    with screen() as shown:
        done = subprocess.run(
            argv, cwd=ROOT, env=variables, stdout=shown.end, stderr=shown.end, timeout=300, check=False
        )
    lines = shown.shown.decode().replace("\r\n", "\n").splitlines()
    assert done.returncode == 0, lines
    assert not any("\r" in line or "\x1b" in line for line in lines)
    assert [bool(RESULT.fullmatch(line)) for line in lines] == [True] * ROWS + [False]
    assert lines[-1] == f"{ROWS} rows: {ROWS} submitted."
    assert all(len(line.expandtabs()) <= 80 for line in lines)


def test_a_bar_is_shown_where_results_go_elsewhere(started: tuple[list[str], dict[str, str]]) -> None:
    """Results go to a pipe, complete; the terminal shows the bar in one line, up to its end."""
    argv, variables = started
    with screen() as shown:
        done = subprocess.run(
            argv, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=shown.end, timeout=300, check=False
        )
    text = shown.shown.decode()
    assert done.returncode == 0, text
    assert all(RESULT.fullmatch(line) for line in done.stdout.decode().splitlines())
    assert f"{ROWS}/{ROWS}" in text
    assert not RESULT.search(text)
    drawn = [part for part in re.split(r"[\r\n]", re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text)) if part]
    assert all(len(part) <= 80 for part in drawn)


def test_a_log_gets_no_bar(started: tuple[list[str], dict[str, str]]) -> None:
    """Without a terminal there are results and one summary."""
    argv, variables = started
    done = subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stderr == f"{ROWS} rows: {ROWS} submitted.\n"


def test_every_bar_is_made_by_the_code_that_checks_for_a_terminal() -> None:
    """So no command can draw one over its results."""
    drawn = [file.name for file in (ROOT / "app").rglob("*.py") if "progressbar(" in file.read_text()]
    assert drawn == ["output.py"]
