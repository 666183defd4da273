"""Looking jobs up: one, a page, a history; and asking CI about one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, current_app, g, json, request
from msgspec.structs import replace
from pydantic import BaseModel, Field

from app import reconcile
from app.api.auth import may, needs
from app.api.ci_errors import from_ci
from app.api.failures import RunView, view_run
from app.api.requests import ListQuery, WaitQuery, read_query
from app.ci.report import Output
from app.provider import ProviderError
from app.redis.cursors import BadCursor
from app.store import Job
from app.store import Unavailable as StoreUnavailable
from app.store.events.tail import Full
from app.store.jobs.index import FIELDS
from app.store.jobs.jobs import Filter, Page
from app.web import metrics
from app.web.describe import Operation, described
from app.web.headers import keep_nowhere
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


class Entry(BaseModel):
    """One line of a job's history, with the runs that it set off."""

    entry: int
    kind: str
    outcome: str
    at: str
    state: str | None = None
    event_id: str | None = None
    verification: str | None = None
    verified: list[str] = []
    format: str | None = None
    token: str | None = None
    spooled_at: str | None = None
    reason: str | None = None
    detail: str | None = None
    replay_of: str | None = None
    by: str | None = None
    body: str | None = None
    doubt: str | None = None
    choice: str | None = Field(None, alias="as")
    refusal: str | None = None
    refused_at: str | None = None
    runs: list[RunView] = []


class History(BaseModel):
    """``count`` is the number of all entries; only HISTORY_MAX of them are stored."""

    job_id: str
    count: int
    events: list[Entry]


@blueprint.get("/<job_id>")
@needs("read")
@described(
    Operation(
        "One job; `wait` holds the answer until it has ended", query=WaitQuery, answers={200: Job, 304: ""}
    )
)
def show(job_id: str) -> Response:
    query = read_query(WaitQuery)
    job = found(job_id)
    if query.wait and not job.terminal:
        # Where no more clients may wait, the answer comes at once: it says how the job is, and so is never wrong.
        with suppress(Full), metrics.WAITING.track_inprogress():
            services().tail.wait(
                job_id, query.wait, lambda: (services().store.jobs.get(job_id) or job).terminal
            )
        job = found(job_id)
    answer = current_app.response_class(served(job).model_dump_json(), mimetype="application/json")
    answer.set_etag(_mark(job))
    answer.make_conditional(request)
    return answer


@blueprint.get("")
@needs("read")
@described(Operation("A page of jobs, newest first", query=ListQuery, answers={200: Page}))
def page() -> Response:
    query = read_query(ListQuery)
    wanted = Filter(
        equal=tuple((field, value) for field in FIELDS if (value := getattr(query, field)) is not None),
        overdue=query.overdue,
        created_after=_ms(query.created_after),
        created_before=_ms(query.created_before),
    )
    try:
        found_page = services().store.jobs.page(wanted, query.limit, query.cursor)
    except BadCursor:
        raise Problem(
            "invalid_request", "That cursor is not one of ours; leave it out to begin anew."
        ) from None
    return current_app.response_class(found_page.model_dump_json(), mimetype="application/json")


@blueprint.get("/<job_id>/events")
@needs("read")
@described(
    Operation(
        "The history: every entry, how it was verified, its runs and their tries", answers={200: History}
    )
)
def history(job_id: str) -> Response:
    found(job_id)
    entries, count = services().store.jobs.history(job_id)
    runs = services().store.runs.of_job(job_id)
    lines = [
        entry | {"runs": [view_run(run) for run in runs if run.event_id == entry.get("event_id")]}
        for entry in entries
    ]
    document = {"job_id": job_id, "count": count, "events": lines}
    return current_app.response_class(json.dumps(document), mimetype="application/json")


@blueprint.get("/<job_id>/events/<int:entry>/raw")
@needs("admin")
@described(
    Operation("The exact bytes of an entry, while they are kept", answers={200: "application/octet-stream"})
)
def raw(job_id: str, entry: int) -> Response:
    body = services().store.jobs.raw_bytes(job_id, entry)
    if body is None:
        raise Problem("not_found", "No such entry, or its bytes have expired (RETENTION_RAW).")
    answer = current_app.response_class(body, mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = "attachment"
    return answer


@blueprint.post("/<job_id>/refresh")
@needs("read")
@described(
    Operation(
        "Ask CI about this job now",
        answers={200: Job},
        problems=("not_askable", "ci_refused", "ci_unavailable"),
    )
)
def refresh(job_id: str) -> Response:
    job = _askable(job_id)
    _ci(lambda: reconcile.ask(services(), [job]))
    return _answer(job_id)


@blueprint.post("/<job_id>/cancel")
@needs("submit", "read")
@described(
    Operation(
        "Cancel this job at CI; the answer shows it, so the key needs `read` as well",
        answers={200: Job},
        problems=("not_askable", "ci_refused", "ci_unavailable"),
    )
)
def cancel(job_id: str) -> Response:
    job = _askable(job_id)
    _ci(lambda: reconcile.cancel(services(), job))
    return _answer(job_id)


class Replay(BaseModel):
    """The event that was made: ``event_id`` is its own, ``replay_of`` is the event that it repeats."""

    job_id: str
    event_id: str
    replay_of: str


@blueprint.post("/<job_id>/replay")
@needs("submit")
@described(
    Operation(
        "Announce the job's latest news once more, as an event of its own: every handler and endpoint runs again",
        answers={202: Replay},
        problems=("store_unavailable",),
    )
)
def replay(job_id: str) -> Response:
    try:
        made = services().store.replays.replay(job_id, g.api_key.name)
    except StoreUnavailable as error:
        raise Problem("store_unavailable", str(error), retry_after=10) from None
    if made is None:
        raise Problem(
            "not_found", "No job with that id is stored, or nothing has been reported about it yet."
        )
    document = {"job_id": made.job_id, "event_id": made.event_id, "replay_of": made.replay_of}
    return current_app.response_class(json.dumps(document), 202, mimetype="application/json")


def found(job_id: str) -> Job:
    """The job, or ``Problem``."""
    job = services().store.jobs.get(job_id)
    if job is None:
        raise Problem(
            "not_found",
            "No job with that id is stored; it was never reported, or it has expired (RETENTION_JOBS).",
        )
    return job


def _askable(job_id: str) -> Job:
    job = found(job_id)
    if why := reconcile.why_not(services(), job):
        raise Problem("not_askable", why)
    return job


def _mark(job: Job) -> str:
    """The ETag: presigned links differ with each second, so only their half-life counts."""
    age = int(time.time() / (services().settings.link_seconds / 2)) if may("links") else 0
    return hashlib.blake2b(f"{age} {job.model_dump_json()}".encode(), digest_size=16).hexdigest()


def served(job: Job) -> Job:
    """The job as this key may see it: with presigned links if it has the scope, and if more than a callback names the
    outputs."""
    if not may("links") or job.outputs_unchecked not in {None, "too_many"}:
        return job
    keep_nowhere()
    return job.model_copy(update={"outputs": tuple(_linked(output) for output in job.outputs)})


def _linked(output: Output) -> Output:
    if not (output.bucket and output.region):
        return output
    seconds = int(services().settings.link_seconds)
    try:
        url = services().provider.presigned_url(output.bucket, output.region, output.object, seconds)
    except ProviderError:
        return output  # A callback may name a bucket that cannot be one.
    return replace(output, url=url)


def _answer(job_id: str) -> Response:
    return current_app.response_class(served(found(job_id)).model_dump_json(), mimetype="application/json")


def _ci(ask: Callable[[], object]) -> None:
    try:
        ask()
    except ProviderError as error:
        raise from_ci(error) from None


def _ms(moment: Any) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None
