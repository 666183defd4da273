"""Processor time and memory of processes, including their children."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and all their children, including ended ones."""
    total = 0.0
    for pid in pids:
        for process in _family(pid):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(pids: Iterable[int]) -> tuple[int, int]:
    """In bytes: proportional set size (each shared page divided by the number of processes that share it), and resident
    set size."""
    pss = rss = 0
    for pid in pids:
        for process in _family(pid):
            full = process.memory_full_info()
            pss, rss = pss + full.pss, rss + full.rss
    return pss, rss
