"""The normalized job, as it is answered and printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.ci.report import Input, JobResult, Media, Output, Report, Template, Workflow

ReadRaw = Callable[[], dict[str, Any] | None]
"""The JSON view of a payload; ``None`` where there is none, or no longer."""


def no_raw() -> None:
    """Of a job whose payload was not asked for."""


class Submitted(BaseModel):
    """What a job's record says of our own submission. ``deadline`` is when its silence becomes ``overdue``."""

    model_config = ConfigDict(frozen=True)

    id: str
    submitted_at: str | None
    callback: Literal["own", "foreign", "no", "queue"] | None
    deadline: str | None
    overdue: bool


class Reported(BaseModel):
    """What a callback reported that contradicts what is known."""

    model_config = ConfigDict(frozen=True)

    state: str | None
    code: str | None
    ended_at: str | None


class Doubt(BaseModel):
    """Two sources contradict each other: ``reason`` says how. CI is asked; until it has answered, or a person has
    settled it, the job keeps the state that was known. ``asked_at`` is when CI was asked last."""

    model_config = ConfigDict(frozen=True)

    reason: str
    since: str
    reported: Reported
    asked_at: str | None


Unchecked = Literal["not_confirmed", "not_askable", "unknown_to_ci", "too_many"]
"""Why outputs are not looked up: only a callback named them, and CI is being asked (``not_confirmed``), cannot be asked
about them, or does not know the job; or they are more than are looked up."""


class Job(BaseModel):
    """The normalized job: what CI reported (the fields of ``Report``), and what we know about how we know it. In a list
    ``outputs`` are the first hundred of ``outputs_count``."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    tag: str | None = None
    state: str | None = None
    terminal: bool = False
    progress: int | None = None
    code: str | None = None
    message: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    queue_id: str | None = None
    queue_type: str | None = None
    input: Input | None = None
    template: Template | None = None
    outputs: tuple[Output, ...] = ()
    outputs_ok: bool | None = None
    user_data: str | None = None
    job_level: int | None = None
    workflow: Workflow | None = None
    media: Media | None = None
    result: JobResult | None = None
    labels: dict[str, str] = Field(default_factory=dict, description="Those of its submission.")
    doubt: Doubt | None
    submission: Submitted | None
    verification: str | None
    source: str | None
    version: int
    updated_at: str
    outputs_count: int
    outputs_unchecked: Unchecked | None
    raw: dict[str, Any] | None

    @property
    def report(self) -> Report:
        """The part that CI reported."""
        return Report(**{name: getattr(self, name) for name in Report.__struct_fields__})
