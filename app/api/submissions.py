"""POST /v1/jobs: submit jobs to CI; GET /v1/submissions/<id>: the submission before there is a job."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, request, url_for

from app.api.auth import needs
from app.api.ci_errors import from_ci
from app.api.idempotency import once
from app.api.jobs import served
from app.api.requests import body_of_request, read_json
from app.ci.outgoing.request import SubmitRequest
from app.ci.outgoing.rules.broken import BadRequest, BrokenRule, violations_of
from app.ci.outgoing.rules.rules import examine
from app.documents.submissions import AcceptedSubmission, SubmissionView, SubmitAnswer
from app.provider import ProviderError
from app.store import UNAVAILABLE, Job
from app.store import Unavailable as StoreUnavailable
from app.store.submissions.submissions import OverBudget, Submission
from app.submitter import Receipt, Submitter
from app.submitter.audited import send_audited
from app.web.describe import ApiOperation, RepeatedAnswer, ViewAnswer, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("submissions", __name__, url_prefix="/v1")


@blueprint.post("/jobs")
@needs("submit")
@described(
    ApiOperation(
        "Submit a job (or several) to CI",
        body=SubmitRequest,
        headers={"Idempotency-Key": "Within 24 h the same key and body get the first answer again."},
        answers={201: SubmitAnswer, 202: AcceptedSubmission},
        problems=(
            "invalid_request",
            "idempotency_mismatch",
            "idempotency_in_flight",
            "budget_spent",
            "ci_refused",
            "ci_unavailable",
            "store_unavailable",
        ),
    )
)
def submit() -> ViewAnswer | RepeatedAnswer:
    return submit_once(request.headers.get("Idempotency-Key"), body_of_request())


@blueprint.get("/submissions/<submission_id>")
@needs("read")
@described(ApiOperation("A submission, before there is a JobId", answers={200: SubmissionView}))
def show(submission_id: str) -> SubmissionView:
    submission = services().store.submissions.get(submission_id)
    if submission is None:
        raise Problem("not_found", "No submission with that id is stored.")
    return SubmissionView.of(submission)


def submit_once(key: str | None, body: bytes) -> ViewAnswer | RepeatedAnswer:
    """Submit what ``body`` (JSON) asks for; under the same ``key`` only once. Raises ``Problem``."""
    return once(key, body, lambda submission_id: _submit(submission_id, body), _recalled)


def _submit(submission_id: str, body: bytes) -> ViewAnswer:
    submitter = Submitter(services())
    wanted, broken = examine(read_json(body), submitter.defaults)
    if wanted is None or any(each.severity == "error" for each in broken):
        raise _broken(broken)
    try:
        draft = submitter.draft(wanted, submission_id, broken)
        return _receipt(send_audited(submitter, draft))
    except BadRequest as error:
        raise _broken(error.broken) from None
    except OverBudget as error:
        raise Problem("budget_spent", f"{error}.", retry_after=error.again_in_s) from None
    except StoreUnavailable:
        raise Problem("store_unavailable", "Nothing was sent to CI. Try again.", retry_after=10) from None
    except ProviderError as error:
        raise from_ci(error) from None


def _recalled(submission: Submission) -> ViewAnswer:
    """The answer to a repeated request whose first process died before it had answered."""
    return _receipt(Receipt(submission, submission.job_ids))


def _receipt(receipt: Receipt) -> ViewAnswer:
    jobs = _jobs(receipt) if receipt.stored else []
    if not jobs:
        return _accepted(receipt)
    headers = {} if len(jobs) > 1 else {"Location": url_for("jobs.show", job_id=jobs[0].job_id)}
    return ViewAnswer(SubmitAnswer.of(jobs, receipt.warnings), 201, headers)


def _jobs(receipt: Receipt) -> list[Job]:
    """The jobs; ``None`` if Redis has become unavailable since, or their retention has ended."""
    jobs = services().store.jobs
    if receipt.new_at:
        return [served(job) for job in jobs.submitted(receipt.details, receipt.record, receipt.new_at)]
    try:
        return [served(job) for job in map(jobs.get, receipt.job_ids) if job]
    except UNAVAILABLE:
        return []


def _accepted(receipt: Receipt) -> ViewAnswer:
    """202 and the submission: CI has the request, or may have it, and no job is known yet."""
    try:
        kept = services().store.submissions.get(receipt.submission) if receipt.stored else None
    except UNAVAILABLE:
        kept = None
    location = url_for("submissions.show", submission_id=receipt.submission)
    document = AcceptedSubmission.of(kept or receipt.record, receipt.warnings)
    return ViewAnswer(document, 202, {"Location": location})


def _broken(broken: Iterable[BrokenRule]) -> Problem:
    """Every broken rule, and the warnings beside them, so that a caller can correct all at once."""
    found = tuple(broken)
    members: dict[str, Any] = {"errors": violations_of(found, "error")}
    if warnings := violations_of(found, "warning"):
        members["warnings"] = warnings
    return Problem("invalid_request", "The request breaks CI's rules; see errors.", **members)
