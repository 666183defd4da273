"""A job's life on one scale: from the submission to the last try of the last handler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from app.core.clock import now_ms, rfc3339, to_ms
from app.documents.jobs import History
from app.documents.runs import RunView, TryView
from app.pages.words import duration
from app.store import Job


class Stretch(Struct, frozen=True):
    """Something that took from ``start`` to ``end`` (ms since 1970); a moment where both are equal. ``left`` and
    ``width`` are in percent of the whole."""

    name: str
    kind: str
    start: int
    end: int
    left: float = 0.0
    width: float = 0.0

    @property
    def at(self) -> str:
        return rfc3339(self.start)

    @property
    def text(self) -> str:
        return duration((self.end - self.start) / 1000) if self.end > self.start else ""


def timeline(job: Job, history: History) -> tuple[Stretch, ...]:
    """Steps in order of their start, to scale; empty if none has a time."""
    found = sorted((*_of_ci(job), *_of_us(job, history)), key=lambda each: (each.start, each.end))
    if not found:
        return ()
    first, last = found[0].start, max(each.end for each in found)
    whole = max(1, last - first)
    return tuple(_scaled(each, first, whole) for each in found)


def _scaled(each: Stretch, first: int, whole: int) -> Stretch:
    left = min(99.0, (each.start - first) / whole * 100)
    width = min(100 - left, max(0.8, (each.end - each.start) / whole * 100))
    return Stretch(each.name, each.kind, each.start, each.end, round(left, 2), round(width, 2))


def _of_ci(job: Job) -> Iterator[Stretch]:
    """The steps that CI reports: waiting in its queue, then running."""
    created, started, ended = map(to_ms, (job.created_at, job.started_at, job.ended_at))
    if created is not None and started is not None and started >= created:
        yield Stretch("queued at CI", "queued", created, started)
    if started is not None:
        until = ended if ended is not None else None if job.terminal else now_ms()
        yield Stretch("running at CI", "running", started, max(started, until or started))


def _of_us(job: Job, history: History) -> Iterator[Stretch]:
    if job.submission and (at := to_ms(job.submission.submitted_at)) is not None:
        yield Stretch("submitted", "submit", at, at)
    for entry in history.events:
        at = to_ms(entry.at)
        if at is not None:
            yield Stretch(f"{entry.kind}: {entry.outcome}", entry.kind, at, at)
        for run in entry.runs:
            yield from _tries(run, run.tries)


def _tries(run: RunView, tries: Sequence[TryView]) -> Iterator[Stretch]:
    name = f"{run.handler} → {run.endpoint}" if run.endpoint else run.handler
    for each in tries:
        start = to_ms(each.started_at)
        if start is None:
            continue
        end = to_ms(each.ended_at) or (start + each.ms if each.ms is not None else start)
        yield Stretch(f"{name}, try {each.n}", "failed" if each.error else "try", start, max(start, end))
