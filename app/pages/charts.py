"""Small charts as figures for SVG: bars of jobs and, within them, of those that failed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.core.clock import rfc3339
from app.store.stats.stats import SpanCount

WIDTH, HEIGHT, GAP = 240, 36, 1


class Bar(Struct, frozen=True):
    """One span of time, in the chart's own units. ``text`` is what a screen reader and a pointer get."""

    x: float
    width: float
    jobs: float
    failed: float
    text: str
    start: str
    counts: tuple[int, int]


class Chart(Struct, frozen=True):
    title: str
    bars: tuple[Bar, ...]
    jobs: int
    failed: int


def chart(title: str, spans: Sequence[SpanCount]) -> Chart:
    """Bars, scaled to the largest span; an empty span is a line."""
    most = max((span.jobs for span in spans), default=0) or 1
    step = WIDTH / max(1, len(spans))
    bars = tuple(
        Bar(
            x=round(n * step, 2),
            width=round(step - GAP, 2),
            jobs=round(span.jobs / most * HEIGHT, 2),
            failed=round(span.failed / most * HEIGHT, 2),
            text=f"{rfc3339(span.start)[11:16]} UTC: {span.jobs} jobs, {span.failed} failed",
            start=rfc3339(span.start)[:16],
            counts=(span.jobs, span.failed),
        )
        for n, span in enumerate(spans)
    )
    return Chart(title, bars, sum(s.jobs for s in spans), sum(s.failed for s in spans))
