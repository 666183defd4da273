"""Refusals: callbacks that were refused although their token was good. Listed, shown, retried, dismissed."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, g
from pydantic import Field

from app.api.auth import needs
from app.api.requests import DismissRequest, PageQuery, Time, read_document, read_query
from app.core.clock import ms_of
from app.documents.refusals import RefusalPage, RefusalWithBody
from app.documents.runs import Dismissed
from app.receiver import retry as retries
from app.store.refusals.refusal import Refusal, RefusalFilter
from app.web.acts import acting
from app.web.describe import ApiOperation, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("refusals", __name__, url_prefix="/v1/refusals")


class RefusalsQuery(PageQuery):
    reason: str | None = None
    job_id: str | None = None
    token: str | None = Field(None, description="The fingerprint, as logs and histories show it.")
    name: str | None = Field(None, description="The name of a URL of `flask callback-url`.")
    after: Time | None = Field(None, description="Received at that time or later.")
    before: Time | None = Field(None, description="Received at that time or earlier.")


@blueprint.get("")
@needs("admin")
@described(
    ApiOperation(
        "Callbacks that were refused although their token was good, newest first",
        query=RefusalsQuery,
        answers={200: RefusalPage},
    )
)
def page() -> RefusalPage:
    query = read_query(RefusalsQuery)
    received = ms_of(query.after), ms_of(query.before)
    wanted = RefusalFilter(query.reason, query.job_id, query.token, query.name, *received)
    return RefusalPage.of(*services().store.refusals.page(wanted, query.limit, query.cursor))


@blueprint.get("/<refusal_id>")
@needs("admin")
@described(ApiOperation("One refusal with its body, as far as it was read", answers={200: RefusalWithBody}))
def show(refusal_id: str) -> RefusalWithBody:
    return RefusalWithBody.of(refusal_of(refusal_id))


@blueprint.get("/<refusal_id>/raw")
@needs("admin")
@described(
    ApiOperation(
        "The exact bytes of a refused body, as far as it was read", answers={200: "application/octet-stream"}
    )
)
def raw(refusal_id: str) -> Response:
    answer = current_app.response_class(refusal_of(refusal_id).body, mimetype="application/octet-stream")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Disposition"] = "attachment"
    return answer


@blueprint.post("/<refusal_id>/retry")
@needs("admin")
@described(
    ApiOperation(
        "Retry it as if it arrived now; if it is accepted, it leaves the list",
        answers={200: retries.Retried},
        problems=("not_retryable", "store_unavailable"),
    )
)
def retry(refusal_id: str) -> retries.Retried:
    return retried(refusal_id)


def retried(refusal_id: str) -> retries.Retried:
    """Raises ``Problem`` for one that is gone or was dismissed, or of which only a part was read."""
    kept = _open(refusal_id)
    try:
        with acting("refusals.retry", *kept.job_ids, refusal=kept.id) as done:
            outcome = retries.retry_refusal(services(), kept, g.api_key.name)
            done.did(taken=outcome.taken, reason=outcome.reason)
            return outcome
    except retries.Partial as error:
        raise Problem("not_retryable", str(error)) from None


@blueprint.post("/<refusal_id>/dismiss")
@needs("admin")
@described(
    ApiOperation(
        "Dismiss it, for a reason",
        body=DismissRequest,
        answers={200: Dismissed},
        problems=("malformed_json", "invalid_request"),
    )
)
def dismiss(refusal_id: str) -> Dismissed:
    return dismissed(refusal_id, read_document(DismissRequest).reason)


def dismissed(refusal_id: str, reason: str) -> Dismissed:
    """Raises ``Problem`` for one that is gone or was dismissed."""
    kept = _open(refusal_id)
    with acting("refusals.dismiss", *kept.job_ids, refusal=kept.id, reason=reason) as done:
        dismissed = services().store.refusals.dismiss(kept, g.api_key.name, reason)
        done.did(dismissed=int(dismissed))
    return Dismissed(dismissed=int(dismissed))


def refusal_of(refusal_id: str) -> Refusal:
    kept = services().store.refusals.get(refusal_id)
    if kept is None:
        raise Problem(
            "not_found",
            "No such refusal; it was accepted, or has expired (RETENTION_REFUSALS).",
        )
    return kept


def _open(refusal_id: str) -> Refusal:
    kept = refusal_of(refusal_id)
    if kept.state != "open":
        raise Problem("not_found", "That refusal was dismissed.")
    return kept
