"""Memory and processor time of each process of ``make run`` when idle.

The targets are for the processes of a deployment: server, web, worker and relay. The emulator, which stands in for
Tencent, and the runner, which systemd or a container replaces, are shown separately.
"""

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

_SECTION = "idle: valkey, web, worker and relay as make run starts them"
_PSS = "memory, shared pages divided (PSS)"
_WORDS = {"gunicorn": "web", "workers.worker": "worker", "workers.relay": "relay", "emulator": "emulator"}
_NOT_DEPLOYED = ("emulator", "runner")
_SETTLE_S = 15
_WATCH_S = 30


def measure(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "checkout"
        # A separate checkout, so that a stack that runs in this one is not disturbed.
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
                programs = {_name(each): each.pid for each in psutil.Process(runner).children()}
                before = {name: cpu_seconds([pid]) for name, pid in programs.items()}
                own = _own_seconds(runner)
                time.sleep(_WATCH_S)
                used = {name: cpu_seconds([pid]) - before[name] for name, pid in programs.items()}
                used["runner"] = _own_seconds(runner) - own
                sizes = {name: memory([pid]) for name, pid in programs.items()}
                sizes["runner"] = psutil.Process(runner).memory_full_info().pss
        finally:
            subprocess.run(
                [sys.executable, "-m", "stack", "stop"], cwd=copy, capture_output=True, check=False
            )
    return _rows(used, sizes)


def _rows(used: dict[str, float], sizes: dict[str, int]) -> list[Row]:
    """``used`` in seconds of processor, ``sizes`` in bytes (PSS); both by program."""
    product = [name for name in sizes if name not in _NOT_DEPLOYED]
    percent = {name: seconds / _WATCH_S * 100 for name, seconds in used.items()}
    return [
        row(_SECTION, _PSS, [sum(sizes[name] for name in product) / 2**20], "MiB", aim=200),
        row(_SECTION, "processor, of one core", [sum(percent[name] for name in product)], "%", aim=1),
        *(row(_SECTION, f"  {name}: memory (PSS)", [size / 2**20], "MiB") for name, size in sizes.items()),
        *(row(_SECTION, f"  {name}: processor, of one core", [part], "%") for name, part in percent.items()),
    ]


def _name(process: psutil.Process) -> str:
    """The process's name in the Procfile; the Redis or Valkey server is always ``valkey``."""
    line = " ".join(process.cmdline())
    found = [name for word, name in _WORDS.items() if word in line]
    return found[0] if found else "valkey"


def _own_seconds(pid: int) -> float:
    """Processor time without children."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _runner(stack: int) -> int:
    """supervisord, which an operator runs; the command that has started it only waits."""
    return next(
        each.pid for each in psutil.Process(stack).children() if "supervisor" in " ".join(each.cmdline())
    )
