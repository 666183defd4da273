"""Refusals: refused callbacks whose token was valid; retried or dismissed, one or many."""

from __future__ import annotations

from typing import Final

from flask import Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.api import refusals as refusals_api
from app.api.auth import require
from app.documents.refusals import RefusalPage, RefusalWithBody
from app.pages import blueprint, done, page
from app.pages.bulk import REASON_MAX, Bulk, Step, retry_or_dismiss, selected
from app.pages.filters import chosen_filters, list_url
from app.store.refusals.refusal import RefusalFilter
from app.web.acts import acting
from app.web.problems import Problem
from app.web.services import services

_FIELDS: Final = ("reason", "job_id", "token", "name")
REFUSALS_A_STEP: Final = 200
"""Refusals that one request acts on: it should end within seconds."""


@blueprint.get("/refusals")
def refusals() -> Response:
    require("admin")
    chosen = chosen_filters(request.args, _FIELDS)
    found = services().store.refusals.page(RefusalFilter(**chosen), 50, request.args.get("cursor"))
    return page("refusals.html", listed=RefusalPage.of(*found), chosen=chosen, fields=_FIELDS)


@blueprint.post("/refusals/act")
def act_on_refusals() -> AnyResponse:
    """Show how many match; with ``sure`` retry or dismiss them."""
    require("admin")
    action, chosen = request.form.get("action", ""), chosen_filters(request.form, _FIELDS)
    bulk = Bulk(
        verb=action.capitalize(),
        noun="refusal",
        action=action,
        to=url_for("pages.act_on_refusals"),
        back=list_url("refusals", chosen),
        chosen=chosen,
        id_name="refusal",
        ids=selected("refusal"),
        note="Each is checked as if it arrived now. What is accepted leaves the list." * (action == "retry"),
        # A reason is a filter of this list too.
        reason_field="why" if action == "dismiss" else "",
    )
    return retry_or_dismiss(bulk, count=_count, step=_step)


def _count(bulk: Bulk) -> int:
    found = services().store.refusals
    if bulk.ids:
        return len(bulk.ids)
    return found.matching(RefusalFilter(**bulk.chosen)) if bulk.chosen else found.open()[0]


def _step(bulk: Bulk, why: str) -> Step:
    ids, cursor = list(bulk.ids), None
    if not ids:
        wanted = RefusalFilter(**bulk.chosen)
        found, cursor = services().store.refusals.page(wanted, REFUSALS_A_STEP, request.form.get("cursor"))
        # Oldest first, as they came.
        ids = [each.id for each in reversed(found)]
    with acting(f"refusals.{bulk.action}", **bulk.chosen) as doing:
        failed = [message for each in ids if (message := _one(each, bulk.action, why))]
        doing.did(count=len(ids), failed=len(failed))
    return Step(len(ids), len(ids) - len(failed), failed, cursor)


def _one(refusal_id: str, action: str, why: str) -> str | None:
    """Why it could not be done. Raises ``Problem`` where nothing can be stored now."""
    try:
        if action == "dismiss":
            refusals_api.dismissed(refusal_id, why)
            return None
        retried = refusals_api.retried(refusal_id)
    except Problem as problem:
        if problem.retry_after is not None:
            raise
        return f"{refusal_id}: {problem.detail}"
    return None if retried.taken else f"{refusal_id} was refused again: {retried.detail}"


@blueprint.get("/refusals/<refusal_id>")
def refusal(refusal_id: str) -> Response:
    require("admin")
    return page("refusal.html", refusal=RefusalWithBody.of(refusals_api.refusal_of(refusal_id)))


@blueprint.post("/refusals/<refusal_id>/<action>")
def act_on_refusal(refusal_id: str, action: str) -> AnyResponse:
    require("admin")
    if action not in {"retry", "dismiss"}:
        raise Problem("not_found", f"There is no action {action[:40]!r}.")
    message = _one(refusal_id, action, request.form.get("reason", "").strip()[:REASON_MAX] or "dismissed")
    good = "It was accepted." if action == "retry" else "It was dismissed."
    return done(f"Nothing was changed. {message}" if message else good, url_for("pages.refusals"))
