"""The list of jobs: filters in the URL, newest first; and an action on the chosen jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flask import Response, request, url_for
from msgspec import Struct, field
from werkzeug.wrappers import Response as AnyResponse

from app.api import jobs as jobs_api
from app.api.chosen import many_jobs
from app.api.chosen.filters import JOB_FILTERS, JobsQuery
from app.api.requests import read_values
from app.ci.incoming.made.nodes import TAGS
from app.pages import blueprint, done, page
from app.pages.bulk import Bulk, Step, confirm, went
from app.pages.charts import chart
from app.pages.filters import chosen_filters, list_url
from app.store import Job
from app.store.jobs.index import LABEL
from app.store.runs.run import OUTPUTS_HANDLER, Run
from app.web.acts import acting
from app.web.problems import Problem
from app.web.services import services

LIMIT: Final = 50
SUGGESTED: Final = ("tag", "user_data", "input_object", "bucket", "queue_id")
_SUGGESTIONS: Final = 12
ACTIONS: Final = {"refresh": "Ask CI about", "replay": "Replay", "cancel": "Cancel"}
_FIELDS: Final = (
    "state",
    "tag",
    "user_data",
    "input_object",
    "bucket",
    "queue_id",
    "created_after",
    "created_before",
)
STATES_IN_ORDER: Final = ("Submitted", "Running", "Pause", "Success", "Failed", "Cancel")
"""In the order of a job's life."""
_NOTES: Final = {
    "cancel": "CI stops jobs that have not started; it refuses for others.",
    "replay": "Every handler and endpoint of these jobs runs again.",
}
_OF_THE_FORM: Final = {
    "csrf", "action", "which", "job", "sure", "total", "seen", "done", "cursor", "reason"
}  # fmt: skip


class JobRow(Struct, frozen=True):
    """A job, and what is wrong with it."""

    job: Job
    trouble: tuple[str, ...] = ()


class Listed(Struct, frozen=True):
    """One page of the list. ``chosen``: the filters of the URL."""

    rows: tuple[JobRow, ...]
    next_cursor: str | None
    chosen: dict[str, str] = field(default_factory=dict)
    q: str = ""
    errors: tuple[dict[str, str], ...] = ()


@blueprint.get("/")
def jobs() -> Response:
    """The whole page, or with ``rows`` only its rows."""
    listed = _listed()
    if "rows" in request.args:
        return page("parts/rows.html", listed=listed)
    counts = services().store.stats.counts(sorted(TAGS))
    charts = (chart("Last 24 hours", counts.hours), chart("Last 60 minutes", counts.minutes))
    return page(
        "jobs.html",
        listed=listed,
        counts=counts,
        charts=charts,
        states=STATES_IN_ORDER,
        actions=ACTIONS,
        fields=_FIELDS,
        suggested=SUGGESTED,
    )


@blueprint.get("/suggest/<field>")
def suggest(field: str) -> Response:
    """Known values of a filter that begin with what its field holds, as the options of its list."""
    if field not in SUGGESTED:
        raise Problem(
            "bad_request", f"Nothing is suggested for {field[:40]!r}, only for {', '.join(SUGGESTED)}."
        )
    values = services().store.values.suggested(field, request.args.get(field, ""), _SUGGESTIONS)
    return page("parts/options.html", values=values)


@blueprint.post("/jobs/act")
def act() -> AnyResponse:
    """First show how many jobs match; with ``sure`` perform the action."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise Problem("bad_request", f"There is no action {action[:40]!r}.")
    # Every other field is a filter of the list: what the API does not know as one, it refuses.
    chosen: dict[str, Any] = {
        name: value for name, value in request.form.items() if name not in _OF_THE_FORM and value
    }
    is_all = request.form.get("which") == "all"
    bulk = Bulk(
        verb=ACTIONS[action],
        noun="job",
        action=action,
        to=url_for("pages.act"),
        back=list_url("jobs", chosen),
        chosen=chosen,
        id_name="job",
        ids=() if is_all else request.form.getlist("job"),
        note=_NOTES.get(action, ""),
    )
    if not is_all and not bulk.ids:
        return done("Select at least one job first.", bulk.back)
    if not request.form.get("sure"):
        count, is_exact = _count(bulk) if is_all else (len(bulk.ids), True)
        return confirm(bulk, count, is_least=not is_exact)
    return went(bulk, _step(bulk) if is_all else _each(bulk))


def _count(bulk: Bulk) -> tuple[int, bool]:
    return many_jobs.counted(bulk.action, *_which(bulk))


def _step(bulk: Bulk) -> Step:
    wanted, q = _which(bulk)
    cursor = request.form.get("cursor")
    result = many_jobs.act(bulk.action, wanted | ({"cursor": cursor} if cursor else {}), q)
    return Step(result.count, result.done, [each.why for each in result.failed], result.next_cursor)


def _which(bulk: Bulk) -> tuple[dict[str, object], str]:
    """The filters of the API, and what is searched for."""
    filters: dict[str, object] = {name: value for name, value in bulk.chosen.items() if name != "q"}
    q = bulk.chosen.get("q", "").strip()
    return filters or ({} if q else {"all": True}), q


def _each(bulk: Bulk) -> Step:
    with acting(f"jobs.{bulk.action}", *bulk.ids) as doing:
        why = [why for each in bulk.ids if (why := _one(bulk.action, each))]
        doing.did(count=len(bulk.ids), failed=len(why))
    return Step(len(bulk.ids), len(bulk.ids) - len(why), why)


def _one(action: str, job_id: str) -> str | None:
    """Why the action failed."""
    try:
        {"refresh": jobs_api.refresh, "replay": jobs_api.replay, "cancel": jobs_api.cancel}[action](job_id)
    except Problem as problem:
        return f"{job_id}: {problem.detail}"
    return None


def _listed() -> Listed:
    given = {
        name: value for name, value in request.args.items() if name not in {"q", "rows", "cursor"} and value
    }
    chosen = chosen_filters(given, JOB_FILTERS | {name for name in given if name.startswith(LABEL)})
    q = request.args.get("q", "").strip()
    try:
        query = read_values(JobsQuery, {"limit": str(LIMIT), "cursor": request.args.get("cursor"), **given})
        wanted = query.wanted(), query.limit, query.cursor
    except Problem as problem:
        return Listed((), None, chosen, q, tuple(problem.members.get("errors", ())))
    store = services().store
    found = store.search.page(q, *wanted) if q else store.jobs.page(*wanted)
    return Listed(_rows(found.jobs), found.next_cursor, chosen, q)


def _rows(jobs: Sequence[Job]) -> tuple[JobRow, ...]:
    runs = services().store.runs
    return tuple(JobRow(job, trouble(job, runs.of_job(job.job_id))) for job in jobs)


def trouble(job: Job, runs: Sequence[Run]) -> tuple[str, ...]:
    """What is wrong with a job beside its state, in a word or two each."""
    # A look-up that gave up is the same news as its outputs.
    failed = sum(run.state == "failed" and run.handler != OUTPUTS_HANDLER for run in runs)
    found: dict[str, Any] = {
        "in doubt": job.doubt is not None,
        "overdue": bool(job.submission and job.submission.overdue),
        "outputs missing": job.outputs_ok is False,
        "outputs unconfirmed": job.outputs_unchecked == "not_confirmed",
        f"{failed} handler{'s' if failed > 1 else ''} failed": failed,
    }
    return tuple(words for words, holds in found.items() if holds)
