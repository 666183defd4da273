"""Runs and failures: one handler, and for deliveries one endpoint, for one event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel

from app.documents.absent import WhereKnown
from app.store.runs.runs import Run

_PRIVATE = ("traceback", "answer")


class TryView(BaseModel):
    """One try. ``ms`` is how long it took; ``status`` is what an endpoint answered; ``traceback`` and ``answer`` are
    for the scope ``admin``."""

    n: int
    started_at: str
    ended_at: WhereKnown[str | None] = None
    ms: WhereKnown[int | None] = None
    worker: str
    error: str | None = None
    status: WhereKnown[int | None] = None
    traceback: WhereKnown[str | None] = None
    answer: WhereKnown[str | None] = None


class RunView(BaseModel):
    """One handler, and for deliveries one endpoint, for one event. ``acts`` are retries and dismissals by people."""

    handler: str
    endpoint: str | None
    state: str
    note: str | None = None
    acts: list[dict[str, str]] = []
    tries: list[TryView]

    @classmethod
    def of(cls, run: Run, *, private: bool) -> Self:
        """``private``: with the tracebacks of handlers and the answers of endpoints."""
        hidden = () if private else _PRIVATE
        tries = [{name: value for name, value in each.items() if name not in hidden} for each in run.tries]
        same = cls.model_fields.keys() - {"tries", "failed_at"}
        given: dict[str, Any] = {name: getattr(run, name) for name in same}
        return cls.model_validate(given | {"tries": tries, "failed_at": run.ended_at})


class FailureView(RunView):
    """A run that is out of tries, or that no further try can help."""

    event_id: str
    job_id: str
    tag: str | None
    failed_at: str | None


class FailurePage(BaseModel):
    """Newest first. A page may be short; only a ``next_cursor`` of null is the end."""

    failures: list[FailureView]
    next_cursor: str | None

    @classmethod
    def of(cls, runs: Iterable[Run], next_cursor: str | None, *, private: bool) -> Self:
        return cls(failures=[FailureView.of(run, private=private) for run in runs], next_cursor=next_cursor)


class FailuresRetried(BaseModel):
    """``matched`` failures were found and ``retried`` were retried; ``more`` is true if a request reached its limit."""

    matched: int
    retried: int
    dry_run: bool = False
    more: bool = False


class Dismissed(BaseModel):
    """How many were dismissed."""

    dismissed: int
