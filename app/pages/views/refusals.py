"""Refusals: refused callbacks whose token was valid; retried or dismissed."""

from __future__ import annotations

from flask import request, url_for
from werkzeug.wrappers import Response

from app.api import refusals as refusals_api
from app.api.auth import require
from app.documents.refusals import RefusalPage, RefusalWithBody
from app.pages import blueprint, done, page
from app.receiver import retry as retries
from app.store.refusals.refusal import RefusalFilter
from app.web.problems import Problem
from app.web.services import services


@blueprint.get("/refusals")
def refusals() -> Response:
    require("admin")
    chosen = {name: value for name in ("reason", "job_id", "name") if (value := request.args.get(name))}
    wanted = RefusalFilter(chosen.get("reason"), chosen.get("job_id"), name=chosen.get("name"))
    found = services().store.refusals.page(wanted, 50, request.args.get("cursor"))
    return page("refusals.html", listed=RefusalPage.of(*found), chosen=chosen)


@blueprint.get("/refusals/<refusal_id>")
def refusal(refusal_id: str) -> Response:
    require("admin")
    return page("refusal.html", refusal=RefusalWithBody.of(refusals_api.refusal_of(refusal_id)))


@blueprint.post("/refusals/<refusal_id>/<action>")
def act_on_refusal(refusal_id: str, action: str) -> Response:
    require("admin")
    here = url_for("pages.refusals")
    try:
        if action == "retry":
            refusals_api.retry(refusal_id)
            return done("It was accepted.", here)
        if action == "dismiss":
            refusals_api.dismissed(refusal_id, request.form.get("reason", "").strip()[:500] or "dismissed")
            return done("It was dismissed.", here)
    except (Problem, retries.Partial) as problem:
        return done(f"Nothing was changed. {problem}", here)
    raise Problem("not_found", f"There is no action {action[:40]!r}.")
