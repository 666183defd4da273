"""``/healthz``, ``/readyz`` and ``/metrics``: is the process up, can a callback be stored, and the figures."""

from __future__ import annotations

from typing import Literal

from flask import Blueprint, Response
from pydantic import BaseModel
from redis.exceptions import RedisError

from app.metrics import counted
from app.metrics.exposition import MIMETYPE, exposition
from app.metrics.stored import StoredMetrics
from app.spool import SetAside
from app.store import Store
from app.web.describe import ApiOperation, ViewAnswer, described
from app.web.services import WebServices, services

blueprint = Blueprint("health", __name__)

_JOBS_FULL = "jobs full"
"""Callbacks of known jobs are still stored, and would be lost too if a load balancer sent no more requests."""


_LATE_S = 60.0
"""Seconds that a look-up may be due: after that COS hangs, or the relays do not keep up."""
_NOT_NEEDED = {"spool", "installation"}
"""Parts that do not exist without a spool."""


ReadyStatus = Literal["ok", "degraded", "unavailable"]


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Each part is ``ok`` or says in a word or two what it is; ``spool_bytes`` wait in the spool, and
    ``spool_set_aside`` records were set aside."""

    status: ReadyStatus
    parts: dict[str, str]
    spool_bytes: int
    spool_set_aside: int


@blueprint.get("/healthz")
@described(ApiOperation("Is the process up?", answers={200: Health}, open=True))
def healthz() -> Health:
    """The process is up. Nothing else is checked."""
    return Health()


@blueprint.get("/readyz")
@described(ApiOperation("Can a callback be stored now?", answers={200: Readiness, 503: Readiness}, open=True))
def readyz() -> ViewAnswer:
    """200 while a callback can be stored, in Redis or in the spool; ``degraded`` where a part is missing."""
    found = readiness()
    return ViewAnswer(found, 503 if found.status == "unavailable" else 200)


def readiness() -> Readiness:
    """The present state of each part."""
    web = services()
    redis, parts = _redis(web)
    spool, waiting = web.spool.condition() if web.spool else ("none", 0)
    aside = web.spool.set_aside() if web.spool else SetAside()
    parts = {
        "redis": redis,
        "spool": spool,
        "set_aside": f"{aside.records} records, {aside.bytes} bytes" if aside.records else "ok",
        "installation": _installation(web),
    } | parts
    ready = redis in {"ok", _JOBS_FULL} or spool == "ok"
    good = all(part == "ok" or (part == "none" and name in _NOT_NEEDED) for name, part in parts.items())
    status: ReadyStatus = ("ok" if good else "degraded") if ready else "unavailable"
    return Readiness(status=status, parts=parts, spool_bytes=waiting, spool_set_aside=aside.records)


def _redis(web: WebServices) -> tuple[str, dict[str, str]]:
    """Whether Redis accepts a callback now, by a real write; and whether relays and workers are running."""
    store = web.store
    try:
        store.presence.probe()
        room = _room(web)
        parts = {
            name: "ok" if store.presence.seen(role) else "missing"
            for name, role in (("relay", "relay"), ("workers", "worker"))
        }
        parts["look_ups"] = _look_ups(store)
        parts["lanes"] = _lanes(store)
    except RedisError as error:
        return f"unavailable: {type(error).__name__}", dict.fromkeys(
            ("relay", "workers", "look_ups", "lanes"), "unknown"
        )
    return room, parts


def _look_ups(store: Store) -> str:
    """Whether outputs are looked up in COS in time."""
    backlog = store.schedules.lookups_backlog()
    is_late = backlog.oldest_s > _LATE_S
    return f"{backlog.due} due, the oldest for {backlog.oldest_s:.0f} s" if is_late else "ok"


def _lanes(store: Store) -> str:
    """Whether each lane is served by a worker."""
    unserved = store.lanes.unserved()
    return f"no worker serves {', '.join(unserved)}" if unserved else "ok"


def _installation(web: WebServices) -> str:
    """Whether this is the Redis that the spool's folder knows; ``none`` without a spool, when it cannot be known."""
    if web.installation is None:
        return "none"
    try:
        return web.installation.state()
    except RedisError:
        return "unknown"


def _room(web: WebServices) -> str:
    """Whether a cap of the store is reached: at OUTBOX_MAX no news is stored, at JOBS_MAX no new job."""
    if web.store.outbox.size() >= web.settings.outbox_max:
        return "outbox full"
    return _JOBS_FULL if web.store.jobs.count() >= web.settings.jobs_max else "ok"


@blueprint.get("/metrics")
@described(ApiOperation("For Prometheus.", answers={200: "text/plain"}, open=True))
def metrics_page() -> Response:
    web = services()
    if web.spool:
        aside = web.spool.set_aside()
        counted.SPOOL_BYTES.set(web.spool.waiting())
        counted.SPOOL_AGE.set(web.spool.oldest_s())
        counted.SPOOL_SET_ASIDE.set(aside.records)
        counted.SPOOL_SET_ASIDE_BYTES.set(aside.bytes)
        counted.INSTALLATION_LOST.set(_installation(web) in {"lost", "foreign"})
    return Response(exposition(StoredMetrics(web.store, web.settings)), mimetype=MIMETYPE)
