"""Refusals: callbacks that were turned away although their token was good. Listed, shown, taken in again, dismissed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, g
from pydantic import BaseModel, Field

from app.api.auth import needs
from app.api.failures import Dismiss, Dismissed
from app.api.requests import Query, Time, read_document, read_query
from app.receiver import retry as retries
from app.receiver.shown import RefusalPage, RefusalWithBody
from app.redis.cursors import BadCursor
from app.store.refusals.refusal import Refusal, Wanted
from app.web.describe import Operation, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("refusals", __name__, url_prefix="/v1/refusals")


class RefusalsQuery(Query):
    reason: str | None = None
    job_id: str | None = None
    token: str | None = Field(None, description="The fingerprint, as logs and histories show it.")
    name: str | None = Field(None, description="The name of a URL of `flask callback-url`.")
    after: Time | None = Field(None, description="Received at that time or later.")
    before: Time | None = Field(None, description="Received at that time or earlier.")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = None


@blueprint.get("")
@needs("admin")
@described(
    Operation(
        "Callbacks that were turned away although their token was good, newest first",
        query=RefusalsQuery,
        answers={200: RefusalPage},
    )
)
def page() -> Response:
    query = read_query(RefusalsQuery)
    wanted = Wanted(query.reason, query.job_id, query.token, query.name, _ms(query.after), _ms(query.before))
    try:
        found, cursor = services().store.refusals.page(wanted, query.limit, query.cursor)
    except BadCursor:
        raise Problem(
            "invalid_request", "That cursor is not one of ours; leave it out to begin anew."
        ) from None
    return _json(RefusalPage.of(found, cursor))


@blueprint.get("/<refusal_id>")
@needs("admin")
@described(Operation("One refusal with its body, as far as it was read", answers={200: RefusalWithBody}))
def show(refusal_id: str) -> Response:
    return _json(RefusalWithBody.of(_found(refusal_id)))


@blueprint.get("/<refusal_id>/raw")
@needs("admin")
@described(
    Operation(
        "The exact bytes of a refused body, as far as it was read", answers={200: "application/octet-stream"}
    )
)
def raw(refusal_id: str) -> Response:
    answer = current_app.response_class(_found(refusal_id).body, mimetype="application/octet-stream")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Disposition"] = "attachment"
    return answer


@blueprint.post("/<refusal_id>/retry")
@needs("admin")
@described(
    Operation(
        "Take it in again, as if it came now; it leaves the list if it is taken",
        answers={200: retries.Retried},
        problems=("not_retryable", "store_unavailable"),
    )
)
def retry(refusal_id: str) -> Response:
    try:
        done = retries.retry(services(), _open(refusal_id), g.api_key.name)
    except retries.Partial as error:
        raise Problem("not_retryable", str(error)) from None
    return _json(done)


@blueprint.post("/<refusal_id>/dismiss")
@needs("admin")
@described(
    Operation(
        "Take it off the list, for a reason",
        body=Dismiss,
        answers={200: Dismissed},
        problems=("malformed_json", "invalid_request"),
    )
)
def dismiss(refusal_id: str) -> Response:
    reason = read_document(Dismiss).reason
    done = services().store.refusals.dismiss(_open(refusal_id), g.api_key.name, reason)
    return _json(Dismissed(dismissed=int(done)))


def _found(refusal_id: str) -> Refusal:
    found = services().store.refusals.get(refusal_id)
    if found is None:
        raise Problem(
            "not_found",
            "No such refusal; it was accepted, or has expired (RETENTION_REFUSALS).",
        )
    return found


def _open(refusal_id: str) -> Refusal:
    found = _found(refusal_id)
    if found.state != "open":
        raise Problem("not_found", "That refusal was dismissed.")
    return found


def _ms(moment: Any) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None


def _json(document: BaseModel) -> Response:
    return current_app.response_class(document.model_dump_json(), mimetype="application/json")
