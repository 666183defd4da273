"""The parts of the service for the health page: how each is now, and what to do about one that does not work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct
from redis.exceptions import ResponseError

from app.api.auth import may
from app.core.clock import now_ms
from app.pages.words import duration, size
from app.spool import Spool
from app.store import Store
from app.store.deliveries.deliveries import EndpointState
from app.store.lanes.lanes import LaneState
from app.store.reading.listing import Filter
from app.web.health import Readiness
from app.web.services import WebServices

Look = Literal["good", "warn", "bad"]

SILENT_S: Final = 3600.0
"""Open jobs, and no callback for that long: as the alert CallbacksSilent has it."""
LATE_S: Final = 60.0
"""An event or a question that has waited for longer: as the alert OutboxLagging has it."""
_FULL: Final = 0.8
_OVERDUE_SHOWN: Final = 50


_MEANING: Final = {
    ("set_aside", "ok"): "no spooled callback is damaged or refused",
    ("installation", "ok"): "Redis has the data that this spool belongs to",
    ("installation", "none"): "not compared: there is no spool",
    ("look_ups", "ok"): "outputs are looked up in COS in time",
    ("lanes", "ok"): "each lane has a worker",
}
"""What a value says of a part that has no figures."""


class Remedy(Struct, frozen=True):
    """What to do; ``anchor`` is a section of docs/runbook.md that says more."""

    text: str
    anchor: str


class HealthPart(Struct, frozen=True):
    """``value`` is its state in a word or two, ``facts`` what else is known of it; ``page`` is where these stand."""

    name: str
    value: str
    look: Look = "good"
    facts: str = ""
    remedy: Remedy | None = None
    page: str = ""


REMEDIES: Final = {
    "redis": Remedy("Callbacks go to the spool. See why Redis takes no writes.", "callbacks-spooled"),
    "redis memory": Remedy("At the limit callbacks go to the spool. Raise maxmemory.", "redis-memory-high"),
    "outbox full": Remedy("Events wait for a relay. Start one: python -m workers.relay.", "relay-missing"),
    "jobs full": Remedy("New jobs are refused. Raise JOBS_MAX or shorten RETENTION_JOBS.", "by-message"),
    "spool": Remedy("Free the disk of SPOOL_DIR, or raise SPOOL_MAX.", "callbacks-not-stored"),
    "spool waits": Remedy("It empties by itself. If it does not, see why.", "spool-not-draining"),
    "set_aside": Remedy("Look at each with flask spool list, then flask spool retry.", "spool-set-aside"),
    "installation": Remedy("The spool belongs to other data than this Redis has.", "installation-lost"),
    "relay": Remedy("No handler starts. Start one: python -m workers.relay.", "relay-missing"),
    "workers": Remedy("Runs stay pending. Start one: python -m workers.worker.", "worker-missing"),
    "look_ups": Remedy("Outputs are confirmed late. See the relay's log, and COS.", "look-ups-late"),
    "lanes": Remedy("Start a worker for it: python -m workers.worker --queues NAME.", "lane-unserved"),
    "paused lane": Remedy("Its runs wait until it is resumed.", "lane-unserved"),
    "endpoint": Remedy("It is tried again by itself. flask doctor says what fails.", "deliveries-failing"),
    "outbox": Remedy("Handlers start late. See whether Redis is slow or the relay restarts.", "outbox-lagging"),
    "callbacks": Remedy("Jobs are open and CI is silent. flask doctor tests PUBLIC_URL.", "callbacks-silent"),
    "questions": Remedy("The relay asks CI late, or not at all. flask doctor asks as it does.", "questions-failing"),
    "overdue": Remedy("CI was asked and has not ended them. Look at their queue in its console.", "jobs-overdue"),
    "failures": Remedy("Fix the cause, then retry or dismiss them.", "failures-open"),
    "refusals": Remedy("Look at each reason, then retry or dismiss them.", "callbacks-refused"),
}  # fmt: skip


def parts(web: WebServices, ready: Readiness) -> tuple[HealthPart, ...]:
    """In the order in which a callback meets them. Raises one of ``UNAVAILABLE``."""
    store = web.store
    facts = {
        "redis": _memory(store),
        "spool": _spooled(web.spool),
        "relay": f"{store.presence.seen('relay')} running",
        "workers": f"{store.presence.seen('worker')} running",
    }
    return (
        *(_part(name, value, facts.get(name, "")) for name, value in ready.parts.items()),
        *_soon(web, ready),
        _callbacks(store),
        _outbox(store),
        _reconciler(store),
        *_left_to_people(store),
    )


def remedy_for_lane(lane: LaneState) -> Remedy | None:
    if lane.paused:
        return REMEDIES["paused lane"]
    return REMEDIES["lanes"] if lane.is_unserved else None


def remedy_for_endpoint(endpoint: EndpointState) -> Remedy | None:
    return REMEDIES["endpoint"] if endpoint.paused_until else None


def _part(name: str, value: str, facts: str) -> HealthPart:
    """One that /readyz names."""
    if value in {"ok", "none"}:
        return HealthPart(name, value, facts=facts or _MEANING.get((name, value), ""))
    return HealthPart(name, value, "bad", facts, REMEDIES.get(value, REMEDIES[name]))


def _memory(store: Store) -> str:
    used, limit = _used(store)
    return f"{size(used)} of {size(limit)}" if limit else f"{size(used)}, without a limit" if used else ""


def _used(store: Store) -> tuple[int, int]:
    """Bytes that Redis uses, and its limit or 0; nothing where this user may not ask."""
    try:
        return store.presence.memory()
    except ResponseError:
        return 0, 0


def _spooled(spool: Spool | None) -> str:
    if spool is None:
        return "SPOOL_DIR is not set"
    oldest = spool.oldest_s()
    return f"callbacks wait, the oldest for {duration(oldest)}" if oldest else "empty"


def _soon(web: WebServices, ready: Readiness) -> Iterator[HealthPart]:
    """What works now, and may not for long."""
    oldest = web.spool.oldest_s() if web.spool else 0.0
    if ready.parts["redis"] == "ok" and oldest > LATE_S:
        facts = "Redis is available, but spooled callbacks are not stored yet"
        yield HealthPart("spool empties", f"{duration(oldest)} late", "warn", facts, REMEDIES["spool waits"])
    used, limit = _used(web.store)
    if limit and used > _FULL * limit:
        value = f"{used / limit:.0%} full"
        yield HealthPart("redis memory", value, "warn", _memory(web.store), REMEDIES["redis memory"])


def _callbacks(store: Store) -> HealthPart:
    newest, states = store.tallies.newest_callback(), store.stats.by_state()
    waiting = states["Submitted"] + states["Running"]
    facts = f"{waiting:,} jobs are open at CI"
    if newest is None:
        return HealthPart("newest callback", "none", facts=facts)
    age = (now_ms() - newest) / 1000
    is_silent = age > SILENT_S and waiting > 0
    value = f"{duration(age)} ago"
    if is_silent:
        return HealthPart("newest callback", value, "warn", facts, REMEDIES["callbacks"])
    return HealthPart("newest callback", value, facts=facts)


def _outbox(store: Store) -> HealthPart:
    lag = store.outbox.lag()
    if lag.oldest_s > LATE_S:
        facts = f"{lag.due:,} events wait for the relay"
        return HealthPart("outbox", f"{duration(lag.oldest_s)} late", "bad", facts, REMEDIES["outbox"])
    return HealthPart("outbox", "ok", facts=f"{lag.due:,} events wait for the relay")


def _reconciler(store: Store) -> HealthPart:
    """It asks CI about jobs whose news has not come."""
    asked = store.tallies.questions()
    silent = asked["failed"] + asked["throttled"]
    total = sum(asked.values())
    facts = f"asked {total:,}, answered {total - silent:,}, silent {silent:,}; {store.due.size():,} questions wait"
    if late := store.due.late(LATE_S):
        return HealthPart("reconciler", f"{late:,} questions late", "bad", facts, REMEDIES["questions"])
    overdue = store.jobs.page(Filter(overdue=True), _OVERDUE_SHOWN)
    if overdue.jobs:
        more = " or more" if overdue.next_cursor else ""
        value = f"{len(overdue.jobs)}{more} jobs overdue"
        return HealthPart("reconciler", value, "warn", facts, REMEDIES["overdue"], "overdue")
    return HealthPart("reconciler", "ok", facts=facts)


def _left_to_people(store: Store) -> Iterator[HealthPart]:
    counts = {"failures": store.failures.count()}
    if may("admin"):
        counts["refusals"] = store.refusals.open()[0]
    for name, count in counts.items():
        if count:
            yield HealthPart(name, f"{count:,} open", "warn", remedy=REMEDIES[name], page=name)
        else:
            yield HealthPart(name, "none")
