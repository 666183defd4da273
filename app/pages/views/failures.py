"""Failures: runs that are out of tries; retried or dismissed, one or many."""

from __future__ import annotations

from typing import Final

from flask import Response, g, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.api import failures as failures_api
from app.api.auth import may, require
from app.documents.runs import FailurePage
from app.pages import blueprint, page
from app.pages.bulk import Bulk, Step, retry_or_dismiss, selected
from app.pages.filters import chosen_filters, list_url
from app.store.failures.failures import FailureFilter
from app.store.runs.run import Run
from app.web.acts import acting
from app.web.services import services

_FIELDS = ("handler", "endpoint", "tag", "job_id")
FAILURES_A_STEP: Final = 1000
"""Failures that one request acts on: it should end within seconds."""


@blueprint.get("/failures")
def failures() -> Response:
    found = services().store.failures
    chosen = chosen_filters(request.args, _FIELDS)
    runs, cursor = found.page(FailureFilter(**chosen), 50, request.args.get("cursor"))
    listed = FailurePage.of(runs, cursor, private=may("admin"))
    return page("failures.html", listed=listed, chosen=chosen, count=found.count(), fields=_FIELDS)


@blueprint.post("/failures/act")
def act_on_failures() -> AnyResponse:
    """Show how many match; with ``sure`` retry or dismiss them."""
    require("submit")
    action, chosen = request.form.get("action", ""), chosen_filters(request.form, _FIELDS)
    bulk = Bulk(
        verb=action.capitalize(),
        noun="failure",
        action=action,
        to=url_for("pages.act_on_failures"),
        back=list_url("failures", chosen),
        chosen=chosen,
        id_name="run",
        ids=selected("run"),
        reason_field="reason" if action == "dismiss" else "",
    )
    return retry_or_dismiss(bulk, count=_count, step=_step)


def _count(bulk: Bulk) -> int:
    found = services().store.failures
    if bulk.ids:
        return len(_selected(bulk))
    return sum(1 for _ in found.all(FailureFilter(**bulk.chosen))) if bulk.chosen else found.count()


def _selected(bulk: Bulk) -> list[Run]:
    return [run for run in services().store.runs.many(list(bulk.ids)) if run.state == "failed"]


def _step(bulk: Bulk, reason: str) -> Step:
    runs, cursor = (_selected(bulk), None) if bulk.ids else _following(bulk)
    with acting(
        f"failures.{bulk.action}", *failures_api.jobs_of_runs(runs), reason=reason or None, **bulk.chosen
    ) as doing:
        count = sum(_act(run, bulk.action, reason) for run in runs)
        doing.did(**{"matched": len(runs), "retried" if bulk.action == "retry" else "dismissed": count})
    return Step(len(runs), count, next_cursor=cursor)


def _following(bulk: Bulk) -> tuple[list[Run], str | None]:
    """Those of this step. One that fails again meanwhile is newer than the cursor, so that no step meets it."""
    cursor = request.form.get("cursor")
    return services().store.failures.page(FailureFilter(**bulk.chosen), FAILURES_A_STEP, cursor)


def _act(run: Run, action: str, reason: str) -> bool:
    found, by = services().store.failures, g.api_key.name
    return found.retry(run, by) if action == "retry" else found.dismiss(run, by, reason)
