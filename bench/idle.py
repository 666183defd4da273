"""What all processes of ``make run`` cost while nothing happens: server, web, worker, relay, emulator, runner."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.options import Options
from bench.processes import cpu_seconds, memory
from bench.table import Row, row
from harness.servers import ROOT, Process, eventually, free_port

_SECTION = "idle: all processes of make run"
_SETTLE_S = 15
_WATCH_S = 30


def measure(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "checkout"
        # A checkout of its own: a stack that runs in this one is not disturbed.
        subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, check=False)
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns("var", ".git", ".venv", "*.rdb", ".*_cache")
        )
        environment = os.environ | {"PORT": str(free_port()), "EMULATOR_PORT": str(free_port())}
        stack = Process([sys.executable, "-m", "stack"], Path(name) / "stack.log", environment)
        stack.cwd = copy
        try:
            with stack:
                eventually(lambda: "ready" in stack.text(), stack.text, 90)
                time.sleep(_SETTLE_S)
                runner = _runner(stack.pid)
                before = cpu_seconds([runner])
                time.sleep(_WATCH_S)
                cpu = cpu_seconds([runner]) - before
                pss, rss = memory([runner])
        finally:
            subprocess.run(
                [sys.executable, "-m", "stack", "stop"], cwd=copy, capture_output=True, check=False
            )
    return [
        row(_SECTION, "memory, shared pages divided (PSS)", [pss / 2**20], "MiB", aim=200),
        row(_SECTION, "memory, each process on its own (RSS)", [rss / 2**20], "MiB"),
        row(_SECTION, "processor, of one core", [cpu / _WATCH_S * 100], "%", aim=1),
    ]


def _runner(stack: int) -> int:
    """supervisord: what an operator runs; the command that has started it only waits."""
    return next(
        each.pid for each in psutil.Process(stack).children() if "supervisor" in " ".join(each.cmdline())
    )
