"""Runs and failures: one handler, and for deliveries one endpoint, for one event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, RootModel

from app.documents.absent import WhereKnown
from app.store.runs.run import Run

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
        if "job_id" in given:
            given["job_id"] = run.job_id or None
        return cls.model_validate(given | {"tries": tries, "failed_at": run.ended_at})


class FailureView(RunView):
    """A run that is out of tries, or that no further try can help. ``job_id`` is null if its event is a submission's
    own."""

    event_id: str
    job_id: str | None
    tag: str | None
    failed_at: str | None


class FailurePage(BaseModel):
    """Newest first. A page may be short; only a ``next_cursor`` of null is the end."""

    failures: list[FailureView]
    next_cursor: str | None

    @classmethod
    def of(cls, runs: Iterable[Run], next_cursor: str | None, *, private: bool) -> Self:
        return cls(failures=[FailureView.of(run, private=private) for run in runs], next_cursor=next_cursor)


class Counted(BaseModel):
    """How many match: the answer to a ``dry_run``."""

    count: int


class FailuresRetried(BaseModel):
    """``matched`` failures were found and ``retried`` were retried; ``more`` is true if a request reached its limit."""

    matched: int
    retried: int
    more: bool = False


class FailuresAnswer(RootModel[FailuresRetried | Counted]):
    """What was retried; with ``dry_run`` how many match."""


class Dismissed(BaseModel):
    """How many were dismissed."""

    dismissed: int
