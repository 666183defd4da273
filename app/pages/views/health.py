"""Health: each part, whether it works, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for
from werkzeug.wrappers import Response

from app.api.overview import lanes as lanes_api
from app.pages import blueprint, done, page
from app.pages.words import size
from app.store import Store
from app.web import health as readiness
from app.web.problems import Problem
from app.web.services import services

_HELP = {
    "redis": "Callbacks go to the spool. Look at Redis: does it run, is its disk full, is its memory used up?",
    "spool": "Callbacks cannot be kept while Redis is away. Look at the disk of SPOOL_DIR.",
    "set_aside": "Redis refused these records. See: flask spool list.",
    "installation": "The spool's folder belongs to another Redis. See: flask spool accept.",
    "relay": "Handlers do not start. Start it: python -m workers.relay.",
    "workers": "Handlers do not run. Start one: python -m workers.worker.",
    "look_ups": "Outputs are looked up late. Look at the relay's log, and at COS.",
    "lanes": "No worker serves a lane. Start one: python -m workers.worker.",
}


@dataclass(frozen=True, slots=True)
class HealthPart:
    name: str
    value: str
    works: bool
    help: str = ""


@blueprint.get("/health")
def health() -> Response:
    ready = readiness.readiness()
    store = services().store
    parts = [
        HealthPart(
            name, value, value in {"ok", "none"}, "" if value in {"ok", "none"} else _HELP.get(name, "")
        )
        for name, value in ready.parts.items()
    ]
    endpoints = [store.deliveries.state(each) for each in sorted(store.deliveries.endpoints())]
    lanes = store.lanes.all()
    return page(
        "health.html",
        lanes=lanes,
        state=ready.status,
        parts=parts,
        figures=_figures(store, ready),
        endpoints=endpoints,
    )


@blueprint.post("/lanes/<name>/<action>")
def act_on_lane(name: str, action: str) -> Response:
    """Pause or resume a lane, as the API does."""
    if action not in {"pause", "resume"}:
        raise Problem("not_found", f"There is no action {action[:40]!r}.")
    (lanes_api.pause if action == "pause" else lanes_api.resume)(name)
    said = (
        f"The lane {name} is paused. Its runs stay pending."
        if action == "pause"
        else f"The lane {name} runs again."
    )
    return done(said, url_for("pages.health"))


def _figures(store: Store, ready: readiness.Readiness) -> list[tuple[str, str, str]]:
    """Name, value, and a link to the documentation."""
    newest = store.jobs.newest()
    return [
        ("Jobs", f"{store.jobs.count():,}", url_for("pages.jobs")),
        ("Newest job", newest or "none yet", url_for("pages.job", job_id=newest) if newest else ""),
        ("Events that wait for the relay", f"{store.outbox.size():,}", ""),
        ("Runs that are due", f"{store.schedules.backlog().due:,}", ""),
        ("Failures", f"{store.failures.count():,}", url_for("pages.failures")),
        ("Questions to CI that wait", f"{store.due.size():,}", ""),
        ("Spool", size(ready.spool_bytes), ""),
        ("Relays", str(store.presence.seen("relay")), ""),
        ("Workers", str(store.presence.seen("worker")), ""),
    ]
