"""Failures: runs that are out of tries. They are listed, retried and dismissed; none is removed without a person."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from flask import Blueprint, g
from pydantic import ConfigDict, Field

from app.api.auth import may, needs
from app.api.requests import (
    DismissRequest,
    Flag,
    PageQuery,
    StrictQuery,
    filter_or_all,
    read_document,
    read_query,
)
from app.documents.runs import Counted, Dismissed, FailurePage, FailuresAnswer, FailuresRetried
from app.store.failures.failures import FailureFilter
from app.store.runs.run import Run
from app.web.acts import acting
from app.web.describe import ApiOperation, described
from app.web.problems import Problem
from app.web.services import services

AT_ONCE = 10_000
"""Failures that one request retries at most; ``more`` says that there were others."""

blueprint = Blueprint("failures", __name__, url_prefix="/v1/failures")


class FailureQuery(StrictQuery):
    handler: str | None = None
    endpoint: str | None = Field(None, description="Name of an endpoint of `forward`.")
    tag: str | None = None
    job_id: str | None = None


class FailuresQuery(FailureQuery, PageQuery):
    pass


class EventFailuresQuery(StrictQuery):
    handler: str | None = None
    endpoint: str | None = None


class RetryFailuresRequest(FailureQuery):
    """Which failures to retry: those that match every filter, or ``all`` of them; one or the other is required.
    ``dry_run`` only counts them."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: filter_or_all(schema, FailureQuery.model_fields)
    )

    all: Flag = Field(False, description="Every failure. Not beside a filter.")
    dry_run: Flag = Field(False, description="Only count them: the same request without it retries these.")


@blueprint.get("")
@needs("read")
@described(
    ApiOperation("Runs that are out of tries, newest first", query=FailuresQuery, answers={200: FailurePage})
)
def page() -> FailurePage:
    query = read_query(FailuresQuery)
    runs, cursor = services().store.failures.page(_wanted(query), query.limit, query.cursor)
    return FailurePage.of(runs, cursor, private=may("admin"))


@blueprint.post("/<event_id>/retry")
@needs("submit")
@described(
    ApiOperation("Retry the failures of one event", query=EventFailuresQuery, answers={200: FailuresRetried})
)
def retry(event_id: str) -> FailuresRetried:
    query = read_query(EventFailuresQuery)
    runs = _of_event(event_id, query)
    with acting("failures.retry", *jobs_of_runs(runs), event_id=event_id, **_given(query)) as done:
        retried = sum(services().store.failures.retry(run, g.api_key.name) for run in runs)
        done.did(matched=len(runs), retried=retried)
    return FailuresRetried(matched=len(runs), retried=retried)


@blueprint.post("/<event_id>/dismiss")
@needs("submit")
@described(
    ApiOperation(
        "Dismiss the failures of one event, for a reason",
        query=EventFailuresQuery,
        body=DismissRequest,
        answers={200: Dismissed},
        problems=("malformed_json",),
    )
)
def dismiss(event_id: str) -> Dismissed:
    reason = read_document(DismissRequest).reason
    query = read_query(EventFailuresQuery)
    runs = _of_event(event_id, query)
    with acting(
        "failures.dismiss", *jobs_of_runs(runs), event_id=event_id, reason=reason, **_given(query)
    ) as done:
        dismissed = sum(services().store.failures.dismiss(run, g.api_key.name, reason) for run in runs)
        done.did(dismissed=dismissed)
    return Dismissed(dismissed=dismissed)


@blueprint.post("/retry")
@needs("submit")
@described(
    ApiOperation(
        "Retry all failures that match; count them first with `dry_run`",
        body=RetryFailuresRequest,
        answers={200: FailuresAnswer},
        problems=("malformed_json", "invalid_request"),
    )
)
def retry_many() -> FailuresAnswer:
    query = read_document(RetryFailuresRequest)
    _must_choose(query)
    failures = services().store.failures
    runs = failures.all(_wanted(query))
    if query.dry_run:
        return FailuresAnswer(Counted(count=sum(1 for _ in runs)))
    with acting("failures.retry", all=query.all or None, **_given(query)) as done:
        matched = retried = 0
        for run in islice(runs, AT_ONCE):
            matched += 1
            retried += failures.retry(run, g.api_key.name)
        more = next(runs, None) is not None
        done.did(matched=matched, retried=retried)
    return FailuresAnswer(FailuresRetried(matched=matched, retried=retried, more=more))


def jobs_of_runs(runs: Iterable[Run]) -> list[str]:
    """Each job once."""
    return list(dict.fromkeys(run.job_id for run in runs if run.job_id))


def _given(query: StrictQuery) -> dict[str, str]:
    """The filters that were given, by name."""
    return {name: value for name, value in query.model_dump().items() if isinstance(value, str)}


def _must_choose(query: RetryFailuresRequest) -> None:
    """Refuse an empty object: it may be a filter that a client failed to send."""
    is_filtered = any(getattr(query, name) is not None for name in FailureQuery.model_fields)
    if is_filtered != query.all:
        return
    names = ", ".join(FailureQuery.model_fields)
    rule = f"Either a filter ({names}), or all: true for every failure"
    raise Problem("invalid_request", f"{rule}.", errors=[{"field": "all", "rule": rule}])


def _wanted(query: FailureQuery) -> FailureFilter:
    return FailureFilter(query.handler, query.endpoint, query.tag, query.job_id)


def _of_event(event_id: str, query: EventFailuresQuery) -> list[Run]:
    wanted = FailureFilter(query.handler, query.endpoint, event_id=event_id)
    runs = list(services().store.failures.all(wanted))
    if not runs:
        raise Problem("not_found", "No failure of that event matches; it may already have been retried.")
    return runs
