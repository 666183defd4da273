"""The list of jobs: filters in the URL, newest first; and an action on the chosen jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from flask import request, url_for
from werkzeug.wrappers import Response

from app.api import jobs as jobs_api
from app.api.chosen import many_jobs
from app.api.chosen.filters import JobsQuery
from app.api.requests import read_values
from app.ci.incoming.made.nodes import TAGS
from app.ci.report import STATES
from app.documents.jobs import ManyDone
from app.pages import blueprint, done, page
from app.pages.charts import chart
from app.store import Job
from app.store.runs.run import Run
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
_OF_THE_FORM: Final = {"csrf", "action", "which", "job", "sure"}


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job, and what is wrong with it."""

    job: Job
    trouble: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
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
        states=sorted(STATES),
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
def act() -> Response:
    """First show how many jobs match; with ``sure`` perform the action."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise Problem("bad_request", f"There is no action {action[:40]!r}.")
    ids = request.form.getlist("job")
    # Every other field is a filter of the list: what the API does not know as one, it refuses.
    chosen = {name: value for name, value in request.form.items() if name not in _OF_THE_FORM and value}
    if request.form.get("which") == "all":
        return _on_all(action, chosen)
    if not ids:
        return done("Select at least one job first.", _list_of(chosen))
    if not request.form.get("sure"):
        return page(
            "parts/sure.html",
            action=action,
            words=ACTIONS,
            count=len(ids),
            ids=ids,
            chosen=chosen,
            which="these",
        )
    with acting(f"jobs.{action}", *ids) as doing:
        failed = [why for each in ids if (why := _one(action, each))]
        doing.did(count=len(ids), failed=len(failed))
    said = f"{ACTIONS[action]}: {len(ids) - len(failed)} of {len(ids)} done."
    return done(" ".join((said, *failed[:3])), _list_of(chosen))


def _on_all(action: str, chosen: dict[str, str]) -> Response:
    wanted: dict[str, object] = {**chosen} or {"all": True}
    if not request.form.get("sure"):
        count = many_jobs.act(action, {**wanted, "dry_run": True}).root.count
        return page(
            "parts/sure.html", action=action, words=ACTIONS, count=count, ids=(), chosen=chosen, which="all"
        )
    result = cast(ManyDone, many_jobs.act(action, wanted).root)
    more = " There are more: do it again for the next ones." if result.next_cursor else ""
    said = f"{ACTIONS[action]}: {result.done} of {result.count} done.{more}"
    return done(" ".join((said, *(each.why for each in result.failed[:3]))), _list_of(chosen))


def _list_of(chosen: Mapping[str, Any]) -> str:
    return url_for("pages.jobs", **chosen)


def _one(action: str, job_id: str) -> str | None:
    """Why the action failed."""
    try:
        {"refresh": jobs_api.refresh, "replay": jobs_api.replay, "cancel": jobs_api.cancel}[action](job_id)
    except Problem as problem:
        return f"{job_id}: {problem.detail}"
    return None


def _listed() -> Listed:
    chosen = {
        name: value for name, value in request.args.items() if name not in {"q", "rows", "cursor"} and value
    }
    q = request.args.get("q", "").strip()
    try:
        query = read_values(JobsQuery, {"limit": str(LIMIT), "cursor": request.args.get("cursor"), **chosen})
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
    failed = sum(run.state == "failed" for run in runs)
    found: dict[str, Any] = {
        "in doubt": job.doubt is not None,
        "overdue": bool(job.submission and job.submission.overdue),
        "outputs missing": job.outputs_ok is False,
        "outputs unconfirmed": job.outputs_unchecked == "not_confirmed",
        f"{failed} handler{'s' if failed > 1 else ''} failed": failed,
    }
    return tuple(words for words, holds in found.items() if holds)
