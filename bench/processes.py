"""Processor time and memory of processes, including their children."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

import psutil


def _sum(pids: Iterable[int], measure: Callable[[psutil.Process], float]) -> float:
    """Reads the children before their parent: a child that ends in between is counted by the parent."""
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        for child in root.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += measure(child)
        total += measure(root)
    return total


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and all their children, including ended ones."""
    return _sum(pids, _seconds)


def memory(pids: Iterable[int]) -> int:
    """Proportional set size in bytes: each shared page divided by the number of processes that share it."""
    return int(_sum(pids, lambda process: float(process.memory_full_info().pss)))
