"""The normalized job, as the API answers it and commands print it."""

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
    """Our own submission, in a job's record. After ``deadline`` a job without news is ``overdue``."""

    model_config = ConfigDict(frozen=True)

    id: str
    submitted_at: str | None
    callback: Literal["own", "foreign", "no", "queue"] | None
    deadline: str | None
    overdue: bool


class Reported(BaseModel):
    """What the callback reported that contradicts what is known."""

    model_config = ConfigDict(frozen=True)

    state: str | None
    code: str | None
    ended_at: str | None


class Doubt(BaseModel):
    """Two sources contradict each other; ``reason`` says how. The job keeps the state that was known until CI has
    answered or a person has settled the doubt. ``asked_at`` is when CI was last asked."""

    model_config = ConfigDict(frozen=True)

    reason: str
    since: str
    reported: Reported
    asked_at: str | None


Unchecked = Literal["not_confirmed", "not_askable", "unknown_to_ci", "too_many"]
"""Why outputs are not looked up. Only a callback named them, and CI is being asked (``not_confirmed``), cannot be asked
(``not_askable``), or does not know the job (``unknown_to_ci``); or they are beyond the number that is looked up."""


class Job(BaseModel):
    """The normalized job: what CI reported (the fields of ``Report``), and where that came from. In a list ``outputs``
    are the first hundred of ``outputs_count``."""

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
    labels: dict[str, str] = Field(default_factory=dict, description="The labels of its submission.")
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
