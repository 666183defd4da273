"""Health: each part, whether it works, and what to do where it does not; and what people did."""

from __future__ import annotations

from flask import request, url_for
from werkzeug.wrappers import Response

from app.api.auth import may, require
from app.api.overview import lanes as lanes_api
from app.documents.access import AuditPage
from app.pages import blueprint, done, page
from app.pages.condition import parts, remedy_for_endpoint, remedy_for_lane
from app.web import health as readiness
from app.web.problems import Problem
from app.web.services import services

_NEWEST = 8
_PAGE = 100


@blueprint.get("/health")
def health() -> Response:
    web, ready = services(), readiness.readiness()
    deliveries = web.store.deliveries
    endpoints = [deliveries.state(each) for each in sorted(deliveries.endpoints())]
    return page(
        "health.html",
        state=ready.status,
        parts=parts(web, ready),
        lanes=[(each, remedy_for_lane(each)) for each in web.store.lanes.all()],
        endpoints=[(each, remedy_for_endpoint(each)) for each in endpoints],
        audit=_audit(_NEWEST) if may("admin") else None,
    )


@blueprint.get("/health/audit")
def audit() -> Response:
    """All that people did, newest first."""
    require("admin")
    return page("audit.html", audit=_audit(_PAGE, request.args.get("cursor")))


@blueprint.get("/health/runbook")
def runbook() -> Response:
    """What to do about each part; needs no session, because sessions need Redis."""
    return page("docs/runbook.html")


@blueprint.post("/lanes/<name>/<action>")
def act_on_lane(name: str, action: str) -> Response:
    """Pause or resume a lane, as the API does."""
    if action not in {"pause", "resume"}:
        raise Problem("not_found", f"There is no action {action[:40]!r}.")
    (lanes_api.pause if action == "pause" else lanes_api.resume)(name)
    message = (
        f"The lane {name} is paused. Its runs stay pending."
        if action == "pause"
        else f"The lane {name} runs again."
    )
    return done(message, url_for("pages.health"))


def _audit(limit: int, cursor: str | None = None) -> AuditPage:
    return AuditPage.of(*services().store.audit.page(limit, cursor))
