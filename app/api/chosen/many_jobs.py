"""Actions on many jobs at once: ask CI, replay, cancel; on the jobs that match the list's filters, or on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from flask import Blueprint, Response, g, request
from pydantic import ConfigDict, Field

from app.api.auth import needs, require
from app.api.chosen.filters import FILTER_NAMES, JOB_FILTERS, JobFilter, described_labels
from app.api.chosen.replaying import only_for
from app.api.ci_errors import from_ci
from app.api.requests import Cursor, Flag, filter_or_all, read_document, read_values
from app.documents.jobs import ManyAnswer, ManyDone, NotDone
from app.documents.runs import Counted
from app.provider import ProviderError
from app.reconcile.many import Fates, cancel_many, refresh_many
from app.store import Job
from app.store.audit.audit_list import Value
from app.store.events.event import Only
from app.store.jobs import index
from app.web.acts import acting
from app.web.describe import ApiOperation, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("many_jobs", __name__, url_prefix="/v1/jobs")

_PAGE = 200
_PAGES = 50
"""Pages that one request reads at most; the next request goes on from ``next_cursor``."""
_REFRESHED, _REPLAYED, _CANCELLED = 500, 1000, 50
"""Jobs of one request at most, so that it ends within seconds."""


def _described(schema: dict[str, Any]) -> None:
    described_labels(schema)
    filter_or_all(schema, sorted(JOB_FILTERS))


class ManyJobs(JobFilter):
    """Which jobs: those that match every filter, or ``all`` of them; one or the other is required."""

    model_config = ConfigDict(json_schema_extra=_described)

    all: Flag = Field(False, description="Every job. Not beside a filter.")
    dry_run: Flag = Field(False, description="Only count them.")
    cursor: Cursor | None = Field(None, description="next_cursor of the request before.")


class ManyReplays(ManyJobs):
    """Which jobs, and for which handler or endpoint their events are repeated."""

    handler: str | None = Field(None, description="Only for this handler; `forward` for all endpoints.")
    endpoint: str | None = Field(None, description="Only for this endpoint of FORWARD_URLS, by its name.")


M = TypeVar("M", bound=ManyJobs)


@blueprint.post("/refresh")
@needs("read")
@described(
    ApiOperation(
        "Ask CI now about all jobs that match; count them first with `dry_run`",
        body=ManyJobs,
        answers={200: ManyAnswer},
        problems=("malformed_json", "invalid_request", "ci_refused", "ci_unavailable"),
    )
)
def refresh() -> ManyAnswer:
    return _refresh(_chosen(read_document(ManyJobs)))


@blueprint.post("/cancel")
@needs("submit", "read")
@described(
    ApiOperation(
        "Cancel at CI all jobs that match and have not ended; count them first with `dry_run`",
        body=ManyJobs,
        answers={200: ManyAnswer},
        problems=("malformed_json", "invalid_request", "ci_refused", "ci_unavailable"),
    )
)
def cancel() -> ManyAnswer:
    return _cancel(_chosen(read_document(ManyJobs)))


@blueprint.post("/replay")
@needs("submit")
@described(
    ApiOperation(
        "Repeat the latest event of all jobs that match, oldest first; count them first with `dry_run`",
        body=ManyReplays,
        answers={200: ManyAnswer},
        problems=("malformed_json", "invalid_request", "unknown_handler", "store_unavailable"),
    )
)
def replay() -> ManyAnswer:
    return _replay(_chosen(read_document(ManyReplays)))


@blueprint.before_request
def _options() -> Response | None:
    """405 with the right Allow: Flask's own would include the methods of a job that has this word as its id."""
    return Response(headers={"Allow": "POST, OPTIONS"}) if request.method == "OPTIONS" else None


def act(name: str, wanted: Mapping[str, object]) -> ManyAnswer:
    """The same for a page: ``name`` is refresh, replay or cancel; its key needs the same scopes. Raises ``Problem``."""
    if name == "replay":
        require("submit")
        return _replay(_chosen(read_values(ManyReplays, wanted)))
    require(*(("submit", "read") if name == "cancel" else ("read",)))
    return {"refresh": _refresh, "cancel": _cancel}[name](_chosen(read_values(ManyJobs, wanted)))


def _refresh(query: ManyJobs) -> ManyAnswer:
    return _do("jobs.refresh", query, _REFRESHED, lambda jobs: refresh_many(services(), jobs, g.api_key.name))


def _cancel(query: ManyJobs) -> ManyAnswer:
    act_on = partial(cancel_many, services(), by=g.api_key.name)
    return _do("jobs.cancel", query, _CANCELLED, act_on, lambda job: not job.terminal)


def _replay(query: ManyReplays) -> ManyAnswer:
    only = only_for(query.handler, query.endpoint)
    return _do("jobs.replay", query, _REPLAYED, lambda jobs: _replayed(jobs[::-1], only))


def _chosen(query: M) -> M:
    # An empty object may be a filter that a client failed to send.
    if query.is_empty != query.all:
        rule = f"Either a filter ({FILTER_NAMES}), or all: true for every job"
        raise Problem("invalid_request", f"{rule}.", errors=[{"field": "all", "rule": rule}])
    return query


def _do(
    action: str,
    query: ManyJobs,
    most: int,
    do: Callable[[list[Job]], Fates],
    means: Callable[[Job], bool] | None = None,
) -> ManyAnswer:
    if query.dry_run:
        return ManyAnswer(Counted(count=_count(query, means)))
    jobs, following = _gathered(query, most, means)
    fates: dict[str, str | None] = {}
    with acting(action, *(job.job_id for job in jobs), **_filters(query)) as acted:
        try:
            fates.update(do(jobs))
        except ProviderError as error:
            raise from_ci(error) from None
        finally:
            failed = [NotDone(job_id=job_id, why=why) for job_id, why in fates.items() if why is not None]
            done = len(fates) - len(failed)
            acted.did(count=len(jobs), done=done, failed=len(failed))
    return ManyAnswer(ManyDone(count=len(jobs), done=done, failed=failed, next_cursor=following))


def _filters(query: ManyJobs) -> dict[str, Value]:
    """The chosen filters, as in the query of the list."""
    given = query.model_dump(mode="json", exclude_none=True, exclude={"dry_run", "cursor", "labels"})
    return {name: value for name, value in given.items() if value is not False or name == "overdue"} | dict(
        index.label_values(query.labels)
    )


def _count(query: ManyJobs, means: Callable[[Job], bool] | None) -> int:
    jobs, wanted = services().store.jobs, query.wanted()
    return jobs.matching(wanted) if means is None else sum(map(means, jobs.every(wanted)))


def _gathered(
    query: ManyJobs, most: int, means: Callable[[Job], bool] | None
) -> tuple[list[Job], str | None]:
    found: list[Job] = []
    cursor, wanted = query.cursor, query.wanted()
    for _ in range(_PAGES):
        page = services().store.jobs.page(wanted, min(_PAGE, most - len(found)), cursor)
        found += [job for job in page.jobs if means is None or means(job)]
        cursor = page.next_cursor
        if cursor is None or len(found) >= most:
            break
    return found, cursor


def _replayed(jobs: list[Job], only: Only | None) -> Fates:
    for job in jobs:
        made = services().store.replays.replay(job.job_id, g.api_key.name, only)
        yield job.job_id, None if made else "Nothing has been reported about this job yet."
