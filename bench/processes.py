"""What processes cost: processor time and memory, children included."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of all that they have started, ended children included."""
    total = 0.0
    for pid in pids:
        for process in _family(pid):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(pids: Iterable[int]) -> tuple[int, int]:
    """Bytes: proportional set size (shared pages divided among those who share them), and resident set size."""
    pss = rss = 0
    for pid in pids:
        for process in _family(pid):
            full = process.memory_full_info()
            pss, rss = pss + full.pss, rss + full.rss
    return pss, rss
