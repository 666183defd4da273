"""How the pages write times, durations and sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from flask import Flask

from app.core.clock import now_ms, to_ms
from app.store import Job

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def init_app(app: Flask) -> None:
    for name, filter_ in _FILTERS.items():
        app.add_template_filter(filter_, name)


def duration(seconds: float | None) -> str:
    """``45 s``, ``3 min 20 s``, ``2 h 5 min``: two units at most; empty for ``None``."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    left = int(seconds)
    parts: list[str] = []
    for size, name in _UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts)


def age(stamp: str | None) -> str:
    """How long ago a moment is: one unit."""
    ms = to_ms(stamp)
    if ms is None:
        return ""
    seconds = max(0, (now_ms() - ms) // 1000)
    size, name = next(((size, name) for size, name in _UNITS if seconds >= size), (1, "s"))
    return f"{seconds // size} {name}"


def running_time(job: Job) -> str:
    """The duration that CI reports; empty if CI reports no start or no end."""
    start, end = to_ms(job.started_at or job.created_at), to_ms(job.ended_at)
    return "" if start is None or end is None or end < start else duration((end - start) / 1000)


def size(count: float | None) -> str:
    """``1.5 MiB``; empty for ``None``."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def in_utc(stamp: str | None) -> str:
    """``2026-01-31 14:05:09`` in UTC, for the eye."""
    return (stamp or "")[:19].replace("T", " ")


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "duration": duration,
    "age": age,
    "running_time": running_time,
    "size": size,
    "in_utc": in_utc,
    "pretty": pretty,
}
