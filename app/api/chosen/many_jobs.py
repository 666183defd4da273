"""Actions on many jobs at once: ask CI, replay, cancel; on the jobs that match the list's filters, or on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, request
from msgspec import Struct
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
from app.store.reading.listing import Page
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


Means = Callable[[Job], bool] | None
"""Which of them are meant; ``None``: all."""


class ManyReplays(ManyJobs):
    """Which jobs, and for which handler or endpoint their events are repeated."""

    handler: str | None = Field(None, description="Only for this handler; `forward` for all endpoints.")
    endpoint: str | None = Field(None, description="Only for this endpoint of FORWARD_URLS, by its name.")


class Matching(Struct, frozen=True):
    """The jobs that a query chooses. ``q``: of these the ones that a page found by the beginning of a value."""

    query: ManyJobs
    q: str = ""

    def page(self, size: int, cursor: str | None) -> Page:
        store, wanted = services().store, self.query.wanted()
        if self.q:
            return store.search.page(self.q, wanted, size, cursor)
        return store.jobs.page(wanted, size, cursor)

    def count(self, means: Means) -> tuple[int, bool]:
        """How many there are, and whether that is all: a search is looked through as far as one request goes."""
        jobs, wanted = services().store.jobs, self.query.wanted()
        if self.q:
            found, following = self.gathered(_PAGE * _PAGES, means)
            return len(found), following is None
        return (jobs.matching(wanted) if means is None else sum(map(means, jobs.every(wanted)))), True

    def gathered(self, most: int, means: Means) -> tuple[list[Job], str | None]:
        found: list[Job] = []
        cursor = self.query.cursor
        for _ in range(_PAGES):
            page = self.page(min(_PAGE, most - len(found)), cursor)
            found += [job for job in page.jobs if means is None or means(job)]
            cursor = page.next_cursor
            if cursor is None or len(found) >= most:
                break
        return found, cursor


@blueprint.post("/refresh")
@needs("read")
@described(
    ApiOperation(
        "Ask CI now about all jobs that match; count them first with `dry_run`",
        body=ManyJobs,
        answers={200: ManyAnswer},
        problems=("malformed_json", "invalid_request", "ci_unavailable"),
    )
)
def refresh() -> ManyAnswer:
    return _answer(_chosen(read_document(ManyJobs)), _refresh)


@blueprint.post("/cancel")
@needs("submit", "read")
@described(
    ApiOperation(
        "Cancel at CI all jobs that match and have not ended; count them first with `dry_run`",
        body=ManyJobs,
        answers={200: ManyAnswer},
        problems=("malformed_json", "invalid_request"),
    )
)
def cancel() -> ManyAnswer:
    return _answer(_chosen(read_document(ManyJobs)), _cancel, _is_open)


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
    query = read_document(ManyReplays)
    only = only_for(query.handler, query.endpoint)
    return _answer(_chosen(query), partial(_replay, only=only))


@blueprint.before_request
def _options() -> Response | None:
    """405 with the right Allow: Flask's own would include the methods of a job that has this word as its id."""
    return Response(headers={"Allow": "POST, OPTIONS"}) if request.method == "OPTIONS" else None


def act(name: str, wanted: Mapping[str, object], q: str = "") -> ManyDone:
    """The same for a page: ``name`` is refresh, replay or cancel; its key needs the same scopes. Raises ``Problem``."""
    require(*(("read",) if name == "refresh" else ("submit", "read")))
    acts = {"refresh": _refresh, "cancel": _cancel, "replay": _replay}
    return acts[name](_chosen(read_values(ManyJobs, wanted), q))


def counted(name: str, wanted: Mapping[str, object], q: str = "") -> tuple[int, bool]:
    """How many jobs ``act`` would act on, and whether that is all of them."""
    return _chosen(read_values(ManyJobs, wanted), q).count(_is_open if name == "cancel" else None)


def _answer(which: Matching, do: Callable[[Matching], ManyDone], means: Means = None) -> ManyAnswer:
    return ManyAnswer(Counted(count=which.count(means)[0]) if which.query.dry_run else do(which))


def _refresh(which: Matching) -> ManyDone:
    return _do("jobs.refresh", which, _REFRESHED, lambda jobs: refresh_many(services(), jobs, g.api_key.name))


def _cancel(which: Matching) -> ManyDone:
    act_on = partial(cancel_many, services(), by=g.api_key.name)
    return _do("jobs.cancel", which, _CANCELLED, act_on, _is_open)


def _replay(which: Matching, only: Only | None = None) -> ManyDone:
    return _do("jobs.replay", which, _REPLAYED, lambda jobs: _replayed(jobs[::-1], only))


def _is_open(job: Job) -> bool:
    return not job.terminal


def _chosen(query: ManyJobs, q: str = "") -> Matching:
    # An empty object may be a filter that a client failed to send.
    if not q and query.is_empty != query.all:
        rule = f"Either a filter ({FILTER_NAMES}), or all: true for every job"
        raise Problem("invalid_request", f"{rule}.", errors=[{"field": "all", "rule": rule}])
    return Matching(query, q)


def _do(
    action: str,
    which: Matching,
    most: int,
    do: Callable[[list[Job]], Fates],
    means: Means = None,
) -> ManyDone:
    jobs, following = which.gathered(most, means)
    fates: dict[str, str | None] = {}
    with acting(action, *(job.job_id for job in jobs), q=which.q or None, **_filters(which.query)) as acted:
        try:
            fates.update(do(jobs))
        except ProviderError as error:
            raise from_ci(error) from None
        finally:
            failed = [NotDone(job_id=job_id, why=why) for job_id, why in fates.items() if why is not None]
            done = len(fates) - len(failed)
            acted.did(count=len(jobs), done=done, failed=len(failed))
    return ManyDone(count=len(jobs), done=done, failed=failed, next_cursor=following)


def _filters(query: ManyJobs) -> dict[str, Value]:
    """The chosen filters, as in the query of the list."""
    given = query.model_dump(mode="json", exclude_none=True, exclude={"dry_run", "cursor", "labels"})
    return {name: value for name, value in given.items() if value is not False or name == "overdue"} | dict(
        index.label_values(query.labels)
    )


def _replayed(jobs: list[Job], only: Only | None) -> Fates:
    for job in jobs:
        made = services().store.replays.replay(job.job_id, g.api_key.name, only)
        yield job.job_id, None if made else "Nothing has been reported about this job yet."
