"""POST /v1/jobs: hand jobs to CI; and what became of a submission before there was a job."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from flask import Blueprint, Response, current_app, json, request, url_for
from pydantic import BaseModel, Field, RootModel

from app.api.auth import needs
from app.api.ci_errors import from_ci
from app.api.idempotency import once
from app.api.jobs import served
from app.api.requests import body_of_request, read_json
from app.ci.outgoing.broken import BadRequest, Broken, told
from app.ci.outgoing.request import SubmitRequest
from app.ci.outgoing.rules import examine
from app.provider import ProviderError
from app.store import UNAVAILABLE, Job
from app.store import Unavailable as StoreUnavailable
from app.store.submissions.submissions import Submission
from app.submitter import Receipt, Submitter
from app.web.describe import Operation, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("submissions", __name__, url_prefix="/v1")


class Doubt(BaseModel):
    """A rule that the request breaks, only inferred or harmless: it was sent all the same. With its ``word`` in
    ``allow`` nothing is said of it."""

    field: str
    rule: str
    word: str


class _Doubted(BaseModel):
    warnings: list[Doubt] = Field([], description="Not there where nothing is doubtful.")


class SubmittedJob(Job, _Doubted):
    """The job, and what is doubtful about the request."""


class SubmittedJobs(_Doubted):
    """Several operations in one request are several jobs."""

    jobs: list[Job]


class Submitted(RootModel[SubmittedJob | SubmittedJobs]):
    """The job of one operation; the jobs of several."""


class SubmissionView(BaseModel):
    """What we asked CI for; ``lost`` means that CI's answer never came and is being looked for. The ``ci_`` members are
    what CI said when it did not take it, and what to do about that."""

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


class AcceptedSubmission(SubmissionView, _Doubted):
    """The submission, and what is doubtful about the request."""


@blueprint.post("/jobs")
@needs("submit")
@described(
    Operation(
        "Submit a job (or several) to CI",
        body=SubmitRequest,
        headers={"Idempotency-Key": "Within 24 h the same key and body get the first answer again."},
        answers={201: Submitted, 202: AcceptedSubmission},
        problems=(
            "invalid_request",
            "idempotency_mismatch",
            "idempotency_in_flight",
            "ci_refused",
            "ci_unavailable",
            "store_unavailable",
        ),
    )
)
def submit() -> Response:
    body = body_of_request()
    return once(
        request.headers.get("Idempotency-Key"),
        body,
        lambda submission_id: _submit(submission_id, body),
        _recalled,
    )


@blueprint.get("/submissions/<submission_id>")
@needs("read")
@described(Operation("A submission, before there is a JobId", answers={200: SubmissionView}))
def show(submission_id: str) -> Response:
    submission = services().store.submissions.get(submission_id)
    if submission is None:
        raise Problem("not_found", "No submission with that id is stored.")
    return _json(_view(submission), 200)


def _submit(submission_id: str, body: bytes) -> Response:
    submitter = Submitter(services())
    wanted, broken = examine(read_json(body), submitter.defaults)
    if wanted is None or any(each.severity == "error" for each in broken):
        raise _broken(broken)
    try:
        receipt = submitter.send(submitter.draft(wanted, submission_id))
    except BadRequest as error:
        raise _broken(error.broken) from None
    except StoreUnavailable:
        raise Problem("store_unavailable", "Nothing was sent to CI. Try again.", retry_after=10) from None
    except ProviderError as error:
        raise from_ci(error) from None
    return _receipt(receipt)


def _recalled(submission: Submission) -> Response:
    """The answer to a request whose first process died before it could answer."""
    return _receipt(Receipt(submission, submission.job_ids))


def _receipt(receipt: Receipt) -> Response:
    jobs = _jobs(receipt) if receipt.stored else []
    if not jobs:
        return _accepted(receipt)
    if len(receipt.job_ids) > 1:
        return _json(SubmittedJobs(jobs=jobs), 201, receipt)
    answer = _json(jobs[0], 201, receipt)
    answer.headers["Location"] = url_for("jobs.show", job_id=jobs[0].job_id)
    return answer


def _jobs(receipt: Receipt) -> list[Job]:
    """None where Redis has gone away since, or where their retention is over."""
    try:
        return [served(job) for job in map(services().store.jobs.get, receipt.job_ids) if job]
    except UNAVAILABLE:
        return []


def _accepted(receipt: Receipt) -> Response:
    """202 and the submission: CI has it, or may have it, and there is no job to show yet."""
    try:
        kept = services().store.submissions.get(receipt.submission) if receipt.stored else None
    except UNAVAILABLE:
        kept = None
    answer = _json(_view(kept or receipt.record), 202, receipt)
    answer.headers["Location"] = url_for("submissions.show", submission_id=receipt.submission)
    return answer


def _broken(broken: Iterable[Broken]) -> Problem:
    """Every broken rule; what would have been a warning beside them, so that both can be put right at once."""
    found = tuple(broken)
    members: dict[str, Any] = {"errors": told(found, "error"), **_warnings(found)}
    return Problem("invalid_request", "The request breaks CI's rules; see errors.", **members)


def _warnings(broken: Iterable[Broken]) -> dict[str, list[dict[str, str]]]:
    """The member ``warnings``, where there are any: an answer without is the job as everybody sees it."""
    doubts = told(broken, "warning")
    return {"warnings": doubts} if doubts else {}


def _view(submission: Submission) -> SubmissionView:
    ours = {
        name: getattr(submission, name) for name in SubmissionView.model_fields if hasattr(submission, name)
    }
    said = {f"ci_{name}": value for name, value in (submission.ci or {}).items()}
    return SubmissionView.model_validate(ours | said | {"job_ids": list(submission.job_ids)})


def _json(value: BaseModel, status: int, receipt: Receipt | None = None) -> Response:
    document = value.model_dump(mode="json", exclude={"warnings"})
    text = json.dumps(document | _warnings(receipt.warnings if receipt else ()))
    return current_app.response_class(text, status, mimetype="application/json")
