"""The page of one job: its result first, then its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_args
from urllib.parse import urlsplit

from flask import g, request, url_for
from werkzeug.wrappers import Response

from app.api import jobs as jobs_api
from app.api.auth import may, require
from app.documents.jobs import History
from app.pages import blueprint, done, page
from app.pages.timeline import timeline
from app.pages.views.jobs import trouble
from app.store import Job
from app.store.jobs.doubts import Choice
from app.store.refusals.refusal import RefusalFilter
from app.web.problems import Problem
from app.web.services import services

_AUDIO = (".mp3", ".wav", ".aac", ".m4a", ".flac", ".ogg", ".opus", ".amr")
_VIDEO = (".mp4", ".webm", ".mov", ".m4v", ".mkv")
_PICTURE = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".svg")


@blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> Response:
    store = services().store
    found = jobs_api.served(jobs_api.found(job_id))
    entries, count = store.jobs.history(job_id)
    runs = store.runs.of_job(job_id)
    history = History.of(job_id, entries, count, runs, private=may("admin"))
    refusals = store.refusals.page(RefusalFilter(job_id=job_id), 20, None)[0] if may("admin") else ()
    _allow_media(found)
    normalized = found.model_dump(mode="json", exclude={"raw"})
    return page(
        "job.html",
        job=found,
        trouble=trouble(found, runs),
        timeline=timeline(found, history),
        history=history,
        handlers=sorted({run.handler for run in runs}),
        endpoints=sorted({run.endpoint for run in runs if run.endpoint}),
        refusals=refusals,
        normalized=normalized,
        kind_of=_kind,
    )


@blueprint.post("/jobs/<job_id>/<action>")
def act_on_job(job_id: str, action: str) -> Response:
    acts: dict[str, tuple[Callable[[], object], str]] = {
        "refresh": (lambda: jobs_api.refresh(job_id), "CI was asked; this is its answer."),
        "cancel": (lambda: jobs_api.cancel(job_id), "CI was asked to cancel this job."),
        "replay": (lambda: _replay(job_id), "The job is replayed: its handlers run again."),
        "settle": (lambda: _settle(job_id), "The doubt is settled."),
    }
    if action not in acts:
        raise Problem("not_found", f"There is no action {action[:40]!r}.")
    what, message = acts[action]
    here = url_for("pages.job", job_id=job_id)
    try:
        what()
    except Problem as problem:
        if problem.reason in {"forbidden", "not_found"}:
            raise
        return done(f"Nothing was changed. {problem.detail}", here)
    return done(message, here)


def _replay(job_id: str) -> None:
    require("submit")
    jobs_api.replayed(job_id, *_only())


def _settle(job_id: str) -> None:
    require("admin")
    choice = request.form.get("as", "")
    if choice not in get_args(Choice):
        raise Problem("bad_request", "A doubt is settled as known or as reported.")
    jobs_api.settled(job_id, cast(Choice, choice))


def _only() -> tuple[str | None, str | None]:
    """The handler or the endpoint that the form names."""
    kind, _, name = request.form.get("only", "").partition(" ")
    return (name or None, None) if kind == "handler" else (None, name or None)


def _kind(name: str) -> str:
    lowered = name.lower()
    for kind, endings in (("audio", _AUDIO), ("video", _VIDEO), ("picture", _PICTURE)):
        if lowered.endswith(endings):
            return kind
    return "file"


def _allow_media(found: Job) -> None:
    links = (urlsplit(output.url) for output in found.outputs if output.url)
    g.media_origins = {f"{link.scheme}://{link.netloc}" for link in links}
