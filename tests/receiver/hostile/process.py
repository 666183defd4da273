"""The web process that is attacked: its memory and its workers."""

from __future__ import annotations

import psutil

from harness.servers import Web

MIB = 2**20


def memory(web: Web) -> int:
    """Bytes in memory of gunicorn and its workers."""
    master = psutil.Process(web.web.pid)
    return sum(each.memory_info().rss for each in (master, *master.children(recursive=True)))


def workers(web: Web) -> list[int]:
    return sorted(child.pid for child in psutil.Process(web.web.pid).children())
