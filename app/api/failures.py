"""Failures: runs that are out of tries. Listed, retried, dismissed; none goes away by itself."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, g, json
from pydantic import BaseModel, ConfigDict, Field

from app.api.auth import may, needs
from app.api.requests import Query, read_document, read_query
from app.redis.cursors import BadCursor
from app.store.runs.failures import Wanted
from app.store.runs.runs import Run
from app.web.describe import Operation, described
from app.web.problems import Problem
from app.web.services import services

AT_ONCE = 10_000
"""Failures that one request retries at most; ``more`` says that there were others."""

blueprint = Blueprint("failures", __name__, url_prefix="/v1")


class Try(BaseModel):
    """One try. ``status`` is what an endpoint answered; ``traceback`` and ``answer`` are for the scope ``admin``."""

    n: int
    started_at: str
    ended_at: str | None = None
    ms: int | None = None
    worker: str
    error: str | None = None
    status: int | None = None
    traceback: str | None = None
    answer: str | None = None


class RunView(BaseModel):
    """One handler, and for deliveries one endpoint, for one event. ``acts`` are retries and dismissals by people."""

    handler: str
    endpoint: str | None
    state: str
    note: str | None = None
    acts: list[dict[str, str]] = []
    tries: list[Try]


class Failure(RunView):
    """A run that is out of tries, or that no further try can help."""

    event_id: str
    job_id: str
    tag: str | None
    failed_at: str | None


class Failures(BaseModel):
    """Newest first. A page may be short; only a ``next_cursor`` of null is the end."""

    failures: list[Failure]
    next_cursor: str | None


class FailureFilter(Query):
    handler: str | None = None
    endpoint: str | None = Field(None, description="Name of an endpoint of `forward`.")
    tag: str | None = None
    job_id: str | None = None


class FailuresQuery(FailureFilter):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = None


class OneQuery(Query):
    handler: str | None = None
    endpoint: str | None = None


class RetryMany(FailureFilter):
    """Which failures to retry: those that match every filter, or ``all`` of them. One or the other has to be said.
    ``dry_run`` only counts them."""

    all: bool = Field(False, description="Every failure there is. Not beside a filter.")
    dry_run: bool = Field(False, description="Only count them: the same request without it retries these.")


class Retried(BaseModel):
    """``matched`` failures were found and ``retried`` were retried; ``more`` is true if a request reached its limit."""

    matched: int
    retried: int
    dry_run: bool
    more: bool


class Dismiss(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)


class Dismissed(BaseModel):
    dismissed: int


class EndpointView(BaseModel):
    """An endpoint of FORWARD_URLS, as it stands. ``failures_in_a_row`` and ``last_error`` are of every kind;
    ``paused_until`` is set while it is left alone, for those that are its trouble: no answer, 5xx, 408, 425, 429."""

    name: str
    waiting: int
    failures_in_a_row: int
    paused_until: str | None
    last_error: str | None
    last_failure_at: str | None
    last_success_at: str | None


class Endpoints(BaseModel):
    endpoints: list[EndpointView]


def view_run(run: Run) -> dict[str, Any]:
    """A run as this key may see it."""
    private = () if may("admin") else ("traceback", "answer")
    tries = [{name: value for name, value in each.items() if name not in private} for each in run.tries]
    return {
        "handler": run.handler,
        "endpoint": run.endpoint,
        "state": run.state,
        "note": run.note,
        "acts": list(run.acts),
        "tries": tries,
    }


@blueprint.get("/failures")
@needs("read")
@described(
    Operation("Runs that are out of tries, newest first", query=FailuresQuery, answers={200: Failures})
)
def page() -> Response:
    query = read_query(FailuresQuery)
    try:
        runs, cursor = services().store.failures.page(_wanted(query), query.limit, query.cursor)
    except BadCursor:
        raise Problem(
            "invalid_request", "That cursor is not one of ours; leave it out to begin anew."
        ) from None
    return _json({"failures": [view_failure(run) for run in runs], "next_cursor": cursor})


@blueprint.post("/failures/<event_id>/retry")
@needs("submit")
@described(Operation("Give the failures of one event new tries", query=OneQuery, answers={200: Retried}))
def retry(event_id: str) -> Response:
    runs = _of_event(event_id, read_query(OneQuery))
    retried = sum(services().store.failures.retry(run, g.api_key.name) for run in runs)
    return _json({"matched": len(runs), "retried": retried, "dry_run": False, "more": False})


@blueprint.post("/failures/<event_id>/dismiss")
@needs("submit")
@described(
    Operation(
        "Take the failures of one event off the list, for a reason",
        query=OneQuery,
        body=Dismiss,
        answers={200: Dismissed},
        problems=("malformed_json",),
    )
)
def dismiss(event_id: str) -> Response:
    reason = read_document(Dismiss).reason
    runs = _of_event(event_id, read_query(OneQuery))
    dismissed = sum(services().store.failures.dismiss(run, g.api_key.name, reason) for run in runs)
    return _json({"dismissed": dismissed})


@blueprint.post("/failures/retry")
@needs("submit")
@described(
    Operation(
        "Give all failures that match new tries; count them first with `dry_run`",
        body=RetryMany,
        answers={200: Retried},
        problems=("malformed_json", "invalid_request"),
    )
)
def retry_many() -> Response:
    query = read_document(RetryMany)
    _must_choose(query)
    matched = retried = 0
    more = False
    for run in services().store.failures.all(_wanted(query)):
        if retried == AT_ONCE:
            more = True
            break
        matched += 1
        if not query.dry_run:
            retried += services().store.failures.retry(run, g.api_key.name)
    return _json({"matched": matched, "retried": retried, "dry_run": query.dry_run, "more": more})


def _must_choose(query: RetryMany) -> None:
    """An empty object may be a filter that went missing on its way."""
    is_filtered = any(getattr(query, name) is not None for name in FailureFilter.model_fields)
    if is_filtered != query.all:
        return
    names = ", ".join(FailureFilter.model_fields)
    rule = f"Either a filter ({names}), or all: true for every failure there is"
    raise Problem("invalid_request", f"{rule}.", errors=[{"field": "all", "rule": rule}])


@blueprint.get("/endpoints")
@needs("read")
@described(Operation("The endpoints that events are forwarded to", answers={200: Endpoints}))
def endpoints() -> Response:
    store = services().store.deliveries
    names = {each.name for each in services().settings.forward_urls} | set(store.endpoints())
    states = [store.state(name) for name in sorted(names)]
    fields = EndpointView.model_fields
    return _json({"endpoints": [{name: getattr(state, name) for name in fields} for state in states]})


def view_failure(run: Run) -> dict[str, Any]:
    who = {"event_id": run.event_id, "job_id": run.job_id, "tag": run.tag, "failed_at": run.ended_at}
    return who | view_run(run)


def _wanted(query: FailureFilter) -> Wanted:
    return Wanted(query.handler, query.endpoint, query.tag, query.job_id)


def _of_event(event_id: str, query: OneQuery) -> list[Run]:
    wanted = Wanted(query.handler, query.endpoint, event_id=event_id)
    runs = list(services().store.failures.all(wanted))
    if not runs:
        raise Problem("not_found", "No failure of that event matches; it may already have been retried.")
    return runs


def _json(document: dict[str, Any]) -> Response:
    return current_app.response_class(json.dumps(document), mimetype="application/json")
