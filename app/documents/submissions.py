"""The result of a request to CI: its jobs, or its submission while there is no job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field, RootModel

from app.ci.outgoing.rules.broken import BrokenRule
from app.documents.absent import WhereKnown
from app.store import Job
from app.store.submissions.submissions import Submission


class RuleWarning(BaseModel):
    """A rule that the request breaks and that CI may not enforce: the request was sent. Name the ``word`` in
    ``allow`` to silence the warning."""

    field: str
    rule: str
    word: str


class _Warned(BaseModel):
    warnings: WhereKnown[list[RuleWarning]] = Field([], description="Absent if there are none.")


class SubmittedJob(Job, _Warned):
    """The job, and the request's warnings."""


class SubmittedJobs(_Warned):
    """The jobs of a request with several operations."""

    jobs: list[Job]


class SubmitAnswer(RootModel[SubmittedJob | SubmittedJobs]):
    """The job of one operation; the jobs of several."""

    @classmethod
    def of(cls, jobs: Sequence[Job], broken: Iterable[BrokenRule]) -> Self:
        warnings = warnings_of(broken)
        if len(jobs) == 1:
            return cls(SubmittedJob.model_validate({**dict(jobs[0]), "warnings": warnings}))
        return cls(SubmittedJobs(jobs=list(jobs), warnings=warnings))


class SubmissionView(BaseModel):
    """Our record of a request to CI. ``lost``: CI's answer did not arrive, and its job list is searched. The ``ci_``
    members are CI's error and what to do about it."""

    id: str
    status: Literal["sending", "submitted", "lost", "failed"]
    submitted_at: str
    deadline: str
    callback: Literal["own", "foreign", "no", "queue"]
    bucket: str
    region: str
    job_ids: list[str]
    labels: dict[str, str]
    error: str | None
    ci_code: str | None = None
    ci_message: str | None = None
    ci_request_id: str | None = None
    ci_advice: str | None = None

    @classmethod
    def of(cls, submission: Submission, broken: Iterable[BrokenRule] = ()) -> Self:
        same = {name: getattr(submission, name) for name in cls.model_fields if hasattr(submission, name)}
        error = {f"ci_{name}": value for name, value in (submission.ci or {}).items()}
        more = {"job_ids": list(submission.job_ids), "warnings": warnings_of(broken)}
        return cls.model_validate(same | error | more)


class AcceptedSubmission(SubmissionView, _Warned):
    """The submission, and the request's warnings."""


class RowView(BaseModel):
    """The result of one row of a file, identified by its number, object and user data. ``before``: an earlier start of
    the same command has submitted it."""

    row: int
    input_object: str | None
    user_data: str | None
    status: Literal["submitted", "before", "lost", "refused", "failed", "ready"]
    job_ids: list[str]
    submission: str | None
    why: str | None
    ci_code: str | None
    ci_request_id: str | None
    warnings: list[RuleWarning]


def warnings_of(broken: Iterable[BrokenRule]) -> list[RuleWarning]:
    return [
        RuleWarning(field=each.field, rule=each.rule, word=each.word)
        for each in broken
        if each.severity == "warning"
    ]
