"""Looking jobs up: one, a page, a history; asking CI about one, and settling a doubt."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from flask import Blueprint, Response, current_app, g, request
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from app import reconcile
from app.api.auth import may, needs, needs_with_read, read_for_key
from app.api.chosen.filters import JobsQuery
from app.api.chosen.replaying import only_for
from app.api.ci_errors import from_ci
from app.api.requests import StrictQuery, WaitQuery, read_document, read_query
from app.ci.report import Output
from app.documents.jobs import History, ReplayView
from app.metrics import counted
from app.provider import ProviderError
from app.store import Job
from app.store import Unavailable as StoreUnavailable
from app.store.access.api_keys import ApiKey
from app.store.events.tail import Full
from app.store.jobs.doubts import Choice
from app.store.reading.listing import Page
from app.store.reading.stored import Stored
from app.web.acts import Act, acting
from app.web.describe import ApiOperation, Unchanged, ViewAnswer, WrittenAnswer, described
from app.web.headers import keep_nowhere
from app.web.problems import Problem
from app.web.services import WebServices, services

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@blueprint.get("/<job_id>")
@needs_with_read("read")
@described(
    ApiOperation(
        "One job; `wait` holds the answer until it has ended", query=WaitQuery, answers={200: Job, 304: ""}
    )
)
def show(job_id: str) -> ViewAnswer | WrittenAnswer | Unchanged:
    jobs = services().store.jobs

    def read(digest: str) -> tuple[ApiKey | None, tuple[WaitQuery, Stored | None]]:
        query = read_query(WaitQuery)
        key, stored = jobs.stored_for(digest, job_id)
        return key, (query, stored)

    query, stored = read_for_key(read)
    if query.wait and stored and not (job := found(job_id)).terminal:
        # If no more clients may wait, the answer is the job as it is.
        with suppress(Full), counted.WAITING.track_inprogress():
            services().tail.wait(job_id, query.wait, lambda: (jobs.get(job_id) or job).terminal)
        stored = jobs.stored(job_id)
    return _shown(job_id, stored)


@blueprint.get("")
@needs_with_read("read")
@described(ApiOperation("A page of jobs, newest first", query=JobsQuery, answers={200: Page}))
def page() -> WrittenAnswer:
    def read(digest: str) -> tuple[ApiKey | None, bytes]:
        query = read_query(JobsQuery)
        return services().store.jobs.page_json(query.wanted(), query.limit, query.cursor, digest)

    return WrittenAnswer(Page, read_for_key(read))


@blueprint.get("/<job_id>/events")
@needs("read")
@described(
    ApiOperation(
        "The history: every entry, how it was verified, its runs and their tries", answers={200: History}
    )
)
def history(job_id: str) -> History:
    found(job_id)
    entries, count = services().store.jobs.history(job_id)
    runs = services().store.runs.of_job(job_id)
    return History.of(job_id, entries, count, runs, private=may("admin"))


@blueprint.get("/<job_id>/events/<int:entry>/raw")
@needs("admin")
@described(
    ApiOperation(
        "The exact bytes of an entry, while they are kept", answers={200: "application/octet-stream"}
    )
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
    ApiOperation(
        "Ask CI about this job now",
        answers={200: Job},
        problems=("not_askable", "unknown_to_ci", "ci_refused", "ci_unavailable"),
    )
)
def refresh(job_id: str) -> Job:
    job = _askable(job_id)
    with acting("jobs.refresh", job_id) as done:
        _ci(lambda: reconcile.refresh(services(), job, g.api_key.name), done)
        done.did(done=1)
    return served(found(job_id))


@blueprint.post("/<job_id>/cancel")
@needs("submit", "read")
@described(
    ApiOperation(
        "Cancel this job at CI; the answer shows it, so the key needs `read` as well",
        answers={200: Job},
        problems=("not_askable", "unknown_to_ci", "ci_refused", "ci_unavailable"),
    )
)
def cancel(job_id: str) -> Job:
    job = _askable(job_id)
    with acting("jobs.cancel", job_id) as done:
        _ci(lambda: reconcile.cancel(services(), job, g.api_key.name), done)
        done.did(done=1)
    return served(found(job_id))


class ReplayQuery(StrictQuery):
    handler: str | None = Field(None, description="Only for this handler; `forward` for all endpoints.")
    endpoint: str | None = Field(None, description="Only for this endpoint of FORWARD_URLS, by its name.")


@blueprint.post("/<job_id>/replay")
@needs("submit")
@described(
    ApiOperation(
        "Repeat the job's latest event under an id of its own: every handler and endpoint runs again, or only one",
        query=ReplayQuery,
        answers={202: ReplayView},
        problems=("not_found", "unknown_handler", "store_unavailable"),
    )
)
def replay(job_id: str) -> ViewAnswer:
    query = read_query(ReplayQuery)
    return ViewAnswer(replayed(job_id, query.handler, query.endpoint), 202)


def replayed(job_id: str, handler: str | None, endpoint: str | None) -> ReplayView:
    """Make a new event, for all handlers and endpoints or for one. Raises ``Problem``."""
    only = only_for(handler, endpoint)
    with acting("jobs.replay", job_id, handler=handler, endpoint=endpoint) as done:
        try:
            made = services().store.replays.replay(job_id, g.api_key.name, only)
        except StoreUnavailable as error:
            raise Problem("store_unavailable", str(error), retry_after=10) from None
        if made is None:
            raise Problem(
                "not_found", "No job with that id is stored, or nothing has been reported about it yet."
            )
        done.did(done=1)
    return ReplayView.of(made)


def found(job_id: str) -> Job:
    """The job. Raises ``Problem`` if it is not known."""
    job = services().store.jobs.get(job_id)
    if job is None:
        raise _not_found()
    return job


def _not_found() -> Problem:
    return Problem(
        "not_found",
        "No job with that id is stored; it was never reported, or it has expired (RETENTION_JOBS).",
    )


def _shown(job_id: str, stored: Stored | None) -> ViewAnswer | WrittenAnswer | Unchanged:
    """The job as this key may see it; no document is made if the client has it already."""
    jobs = services().store.jobs
    if stored is None:
        raise _not_found()
    etag = etag_for(services(), g.api_key, stored)
    # Proxies that compress an answer make its tag a weak one (RFC 9110, 13.1.2).
    if request.if_none_match.contains_weak(etag):
        if may("links"):
            keep_nowhere()  # The client's document may contain links; none was made here to check.
        return Unchanged(etag)
    shown = jobs.shown(job_id, stored)
    if shown.linkable and may("links"):
        return ViewAnswer(served(Job.model_validate_json(shown.text)), etag=etag)
    return WrittenAnswer(Job, shown.text, etag)


def _askable(job_id: str) -> Job:
    job = found(job_id)
    if why := reconcile.reason_not_askable(services(), job):
        raise Problem("not_askable", why)
    return job


def etag_for(services: WebServices, key: ApiKey, stored: Stored) -> str:
    """The ETag of the job as this key may see it. Presigned links differ each second, so that the tag of an answer with
    links changes only after half of their life."""
    age = f"-{int(time.time() / (services.settings.link_seconds / 2)):x}" if key.may("links") else ""
    return services.store.jobs.etag(stored) + age


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


def _ci(ask: Callable[[], object], doing: Act) -> None:
    try:
        ask()
    except reconcile.UnknownToCi as error:
        doing.did(done=0)
        raise Problem("unknown_to_ci", str(error)) from None
    except ProviderError as error:
        raise from_ci(error) from None


class SettleRequest(BaseModel):
    """``known`` keeps the job as it was known before it was contradicted, ``reported`` takes what was reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: Choice = Field(alias="as")


@blueprint.post("/<job_id>/settle")
@needs("admin")
@described(
    ApiOperation(
        "Decide a doubt that CI has not decided",
        body=SettleRequest,
        answers={200: Job},
        problems=("not_doubted", "store_unavailable"),
    )
)
def settle(job_id: str) -> Job:
    return settled(job_id, read_document(SettleRequest).choice)


def settled(job_id: str, choice: Choice) -> Job:
    """The job as it is known then. Raises ``Problem`` where it is not doubted."""
    found(job_id)
    with acting("jobs.settle", job_id, choice=choice) as done:
        if not services().store.doubts.settle(job_id, choice, g.api_key.name):
            raise Problem("not_doubted", "This job has no doubt to settle. See its `doubt` field.")
        done.did(done=1)
    return served(found(job_id))
