"""Documents about jobs: history, events, and the results of actions on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, Field, RootModel

from app.documents.absent import WhereKnown
from app.documents.runs import Counted, RunView
from app.store import Job
from app.store.events.replays import Replayed
from app.store.jobs.retention import Dropped
from app.store.runs.run import Run


class HistoryEntry(BaseModel):
    """One entry of a job's history, with the runs that it started."""

    entry: int
    kind: str
    outcome: str
    at: str
    state: str | None = None
    event_id: str | None = None
    verification: WhereKnown[str | None] = None
    verified: WhereKnown[list[str] | None] = None
    format: WhereKnown[str | None] = None
    token: WhereKnown[str | None] = None
    spooled_at: WhereKnown[str | None] = None
    reason: WhereKnown[str | None] = None
    detail: WhereKnown[str | None] = None
    replay_of: WhereKnown[str | None] = None
    by: WhereKnown[str | None] = None
    only: WhereKnown[str | None] = None
    body: WhereKnown[str | None] = None
    doubt: WhereKnown[str | None] = None
    choice: WhereKnown[str | None] = Field(None, alias="as")
    refusal: WhereKnown[str | None] = None
    refused_at: WhereKnown[str | None] = None
    runs: list[RunView] = []


class History(BaseModel):
    """``count`` is the number of all entries; only HISTORY_MAX of them are stored."""

    job_id: str
    count: int
    events: list[HistoryEntry]

    @classmethod
    def of(
        cls, job_id: str, entries: Iterable[dict[str, Any]], count: int, runs: list[Run], *, private: bool
    ) -> Self:
        """``entries`` as the store has them, and all runs of the job."""
        views: dict[str, list[RunView]] = {}
        for run in runs:
            views.setdefault(run.event_id, []).append(RunView.of(run, private=private))
        events = [each | {"runs": views.get(each.get("event_id") or "", [])} for each in entries]
        return cls.model_validate({"job_id": job_id, "count": count, "events": events})


class StreamedEvent(BaseModel):
    """The ``data`` of one ``event: job``. The job is as it was at the event, without ``raw`` and presigned links; it is
    null for a submission that failed. ``details`` describes the failure, for the kinds that are about trouble."""

    event_id: str
    kind: str
    job: Job | None
    details: WhereKnown[dict[str, Any] | None] = None


class StreamGap(BaseModel):
    """The ``data`` of one ``event: gap``: events after ``after`` were removed; what follows comes after ``resumed``."""

    after: str
    resumed: str


class ReplayView(BaseModel):
    """The new event: ``event_id`` is its own, ``replay_of`` is the event that it repeats."""

    job_id: str
    event_id: str
    replay_of: str

    @classmethod
    def of(cls, made: Replayed) -> Self:
        return cls(job_id=made.job_id, event_id=made.event_id, replay_of=made.replay_of)


class NotDone(BaseModel):
    """A job for which the action failed, and why."""

    job_id: str
    why: str


class ManyDone(BaseModel):
    """``count`` jobs matched in this request, and the action succeeded for ``done`` of them. If ``next_cursor`` is not
    null there are more: send the same request with it as ``cursor``."""

    count: int
    done: int
    failed: list[NotDone] = []
    next_cursor: str | None = None


class ManyAnswer(RootModel[ManyDone | Counted]):
    """The result; with ``dry_run`` the number of jobs that match."""


class JobsImported(BaseModel):
    """Jobs of CI's list: ``new`` ones, known ones with ``news``, and ``known`` ones without."""

    new: int
    news: int
    known: int


class DeletedJob(BaseModel):
    """How many history entries, payloads and runs were deleted, and how many of the runs were failures; ``submission``
    is the id of its submission if that was deleted too."""

    job_id: str
    entries: int
    payloads: int
    runs: int
    failures: int
    submission: str | None

    @classmethod
    def of(cls, dropped: Dropped) -> Self:
        return cls.model_validate({name: getattr(dropped, name) for name in cls.model_fields})
