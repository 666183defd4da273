"""Failures: runs that are out of tries; retried or dismissed, one or many."""

from __future__ import annotations

from flask import g, request, url_for
from werkzeug.wrappers import Response

from app.api import failures as failures_api
from app.api.auth import may, require
from app.documents.runs import FailurePage
from app.pages import blueprint, done, page
from app.store.failures.failures import FailureFilter
from app.store.runs.run import Run
from app.web.acts import acting
from app.web.problems import Problem
from app.web.services import services

_FIELDS = ("handler", "endpoint", "tag", "job_id")
_AT_ONCE = 10_000


@blueprint.get("/failures")
def failures() -> Response:
    found = services().store.failures
    chosen = _chosen(request.args)
    runs, cursor = found.page(FailureFilter(**chosen), 50, request.args.get("cursor"))
    listed = FailurePage.of(runs, cursor, private=may("admin"))
    return page("failures.html", listed=listed, chosen=chosen, count=found.count(), fields=_FIELDS)


@blueprint.post("/failures/act")
def act_on_failures() -> Response:
    """First show how many match; with ``sure`` retry or dismiss them."""
    require("submit")
    action, reason = request.form.get("action"), request.form.get("reason", "").strip()
    if action not in {"retry", "dismiss"}:
        raise Problem("bad_request", "A failure can be retried or dismissed.")
    chosen, here = _chosen(request.form), url_for("pages.failures")
    runs = _wanted(chosen)
    if not runs:
        return done("No failure was selected, or they have been retried meanwhile.", here)
    if not request.form.get("sure"):
        ids = request.form.getlist("run") if request.form.get("which") != "all" else ()
        return page("parts/sure_failures.html", action=action, count=len(runs), ids=ids, chosen=chosen)
    if action == "dismiss" and not reason:
        return done("Nothing was dismissed: a reason is needed.", here)
    with acting(
        f"failures.{action}", *failures_api.jobs_of_runs(runs), reason=reason[:500] or None, **chosen
    ) as doing:
        count = sum(_act(run, action, reason[:500]) for run in runs)
        doing.did(**{"matched": len(runs), "retried" if action == "retry" else "dismissed": count})
    return done(f"{count} of {len(runs)} {'retried' if action == 'retry' else 'dismissed'}.", here)


def _act(run: Run, action: str, reason: str) -> bool:
    found, by = services().store.failures, g.api_key.name
    return found.retry(run, by) if action == "retry" else found.dismiss(run, by, reason)


def _wanted(chosen: dict[str, str]) -> list[Run]:
    store = services().store
    if request.form.get("which") != "all":
        return [run for run in store.runs.many(request.form.getlist("run")) if run.state == "failed"]
    return list(store.failures.all(FailureFilter(**chosen)))[:_AT_ONCE]


def _chosen(given: object) -> dict[str, str]:
    return {name: value for name in _FIELDS if (value := given.get(name))}  # type: ignore[attr-defined]
