"""POST /callbacks/<token>: is it from CI, what does it say, is it news? Answered only when it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, g, request
from pydantic import BaseModel

from app import metrics
from app.ci.payload import Callback, Detail, Refused, parse
from app.problems import Problem
from app.receiver.address import caller
from app.receiver.body import read_body
from app.receiver.keep import WHY, Kept, keep, note
from app.receiver.verify import check_address, check_binding, check_expiry, check_token, layers
from app.services import Services, services
from app.store import UNAVAILABLE, News
from app.store.refusals import Refusal
from app.tokens import Binding, bare, fingerprint

blueprint = Blueprint("receiver", __name__)

PROBLEMS = (
    "bad_token", "expired_token", "revoked_token", "ip_not_allowed", "body_too_large", "content_encoding",
    "unsupported_media_type", "empty_body", "incomplete_body", "slow_body", "malformed_xml", "forbidden_xml",
    "malformed_json", "too_complex", "not_a_callback", "bad_job_id", "binding_mismatch", "store_unavailable",
)  # fmt: skip
"""Every reason for which a callback is turned away."""


class Result(BaseModel):
    """What became of one job of the body."""

    job_id: str
    outcome: Kept


class Results(BaseModel):
    """One for each job, in order; none for a probe."""

    results: list[Result]


@blueprint.post("/callbacks/<anything:token>")
@metrics.ACCEPT_SECONDS.time()
def callback(token: str) -> dict[str, Any]:
    """Take one callback: one or more JobsDetail, all or nothing.

    400, 403, 413 and 415 say that it will never be taken; 503 that CI should come back. Our own trouble is never a 4xx.
    """
    ours = services()
    token = bare(token)
    mark = fingerprint(token)
    g.log_fields = f" token={mark}"
    try:
        binding = check_token(token, ours.settings)
    except Problem as problem:
        metrics.REFUSALS.labels(problem.reason).inc()
        raise
    details: Sequence[Detail] = ()
    try:
        check_expiry(binding, ours.settings)
        check_address(_caller(ours), ours.settings)
        with ours.gate.outside():
            body = read_body(request, ours.settings.max_body)
        seen = _parse(body)
        details = seen.details
        for detail in details:
            check_binding(detail.report, binding, ours.settings)
        return Results(results=_keep(ours, seen, body, binding, mark)).model_dump()
    except Problem as problem:
        _refused(ours, problem, details, binding, mark)
        raise


def _caller(ours: Services) -> Any:
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    return caller(request.remote_addr, forwarded, ours.settings.trusted_proxies)


def _parse(body: bytes) -> Callback:
    try:
        return parse(body)
    except Refused as error:
        raise Problem(error.reason, str(error)) from None


def _keep(ours: Services, seen: Callback, body: bytes, binding: Binding, mark: str) -> list[Result]:
    if seen.kind == "probe":
        _check_revoked(ours, mark)
        metrics.PROBES.inc()
        return []
    settings = ours.settings
    hold = "confirm" in settings.verify
    news = News(
        details=seen.details,
        source="callback",
        verification="unconfirmed" if hold else layers(settings)[0],
        body=body,
        submission=binding.submission,
        token=mark,
        bind="binding" in settings.verify,
        hold=hold,
        ask_after=settings.deadline,
        note={"verified": layers(settings), "format": seen.format, "token": mark},
    )
    outcomes = keep(ours, news)
    return [
        Result(job_id=detail.report.job_id, outcome=outcome)
        for detail, outcome in zip(seen.details, outcomes, strict=True)
    ]


def _check_revoked(ours: Services, mark: str) -> None:
    """For what is not stored; else the store checks it, in the same step in which it stores."""
    try:
        revoked = ours.store.refusals.is_revoked(mark)
    except UNAVAILABLE:
        return
    if revoked:
        raise Problem("revoked_token", WHY["revoked_token"])


def _refused(
    ours: Services, problem: Problem, details: Sequence[Detail], binding: Binding, mark: str
) -> None:
    """A refusal may hide the truth: it is noted, and CI is asked."""
    metrics.REFUSALS.labels(problem.reason).inc()
    if problem.reason == "store_unavailable" or not (binding.submission or binding.name):
        return
    job_ids = tuple(detail.report.job_id for detail in details)
    note(ours, Refusal(problem.reason, problem.detail, mark, binding.submission, job_ids))
