"""Counts over all jobs."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from app.core.clock import rfc3339
from app.store.stats.stats import Counts, SpanCount


class SpanView(BaseModel):
    """How many jobs were created from ``start`` to the next span's start, and how many of these failed."""

    start: str
    jobs: int
    failed: int

    @classmethod
    def of(cls, span: SpanCount) -> Self:
        return cls(start=rfc3339(span.start), jobs=span.jobs, failed=span.failed)


class StatsView(BaseModel):
    """``jobs`` is the number of all; a job whose state or tag is not CI's own is in no other count."""

    jobs: int
    by_state: dict[str, int] = Field(description="CI's six states.")
    by_tag: dict[str, int] = Field(description="Those of CI's tags that have jobs.")
    hours: list[SpanView] = Field(description="The last 24, oldest first; the newest is not over yet.")
    minutes: list[SpanView] = Field(description="The last 60, likewise.")

    @classmethod
    def of(cls, counts: Counts) -> Self:
        return cls(
            jobs=counts.jobs,
            by_state=counts.by_state,
            by_tag=counts.by_tag,
            hours=[SpanView.of(each) for each in counts.hours],
            minutes=[SpanView.of(each) for each in counts.minutes],
        )
