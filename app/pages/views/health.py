"""Health: each part, whether it works, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for
from werkzeug.wrappers import Response

from app.pages import blueprint, page
from app.pages.words import size
from app.store import Store
from app.web import health as readiness
from app.web.services import services

_HELP = {
    "redis": "Callbacks go to the spool. Look at Redis: does it run, is its disk full, is its memory used up?",
    "spool": "Callbacks cannot be kept while Redis is away. Look at the disk of SPOOL_DIR.",
    "set_aside": "Redis refused these records. See: flask spool list.",
    "installation": "The spool's folder belongs to another Redis. See: flask spool accept.",
    "relay": "Handlers do not start. Start it: python -m workers.relay.",
    "workers": "Handlers do not run. Start one: python -m workers.worker.",
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
    return page(
        "health.html", state=ready.status, parts=parts, figures=_figures(store, ready), endpoints=endpoints
    )


def _figures(store: Store, ready: readiness.Readiness) -> list[tuple[str, str, str]]:
    """Name, value, and where to read on."""
    newest = store.jobs.newest()
    return [
        ("Jobs", f"{store.jobs.count():,}", url_for("pages.jobs")),
        ("Newest job", newest or "none yet", url_for("pages.job", job_id=newest) if newest else ""),
        ("Events that wait for the relay", f"{store.outbox.size():,}", ""),
        ("Runs that are due", f"{store.runs.backlog().due:,}", ""),
        ("Failures", f"{store.failures.count():,}", url_for("pages.failures")),
        ("Questions to CI that wait", f"{store.due.size():,}", ""),
        ("Spool", size(ready.spool_bytes), ""),
        ("Relays", str(store.presence.seen("relay")), ""),
        ("Workers", str(store.presence.seen("worker")), ""),
    ]
