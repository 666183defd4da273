"""Our own parts: processes, durability, spool, handlers, API keys, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from redis.exceptions import RedisError

from app.core.clock import rfc3339
from app.doctor.finding import Finding
from app.services import Services
from app.settings import ROOT
from app.store import DurabilityUnsupported
from app.web.services import WebServices

_HANDLERS_S = 60


def processes(services: Services) -> Iterator[Finding]:
    """Relays and workers report every few seconds that they are running."""
    missing = {
        "relay": "Start `python -m workers.relay`: without it no handler runs, and CI is not asked.",
        "worker": "Start `python -m workers.worker`: without it handlers wait.",
    }
    for role, todo in missing.items():
        try:
            count = services.store.presence.seen(role)
        except RedisError:
            return
        if count:
            yield Finding("ok", role, f"{count} running")
        else:
            yield Finding("fail", role, "no process has reported in the last seconds", todo)


def lanes(services: Services) -> Iterator[Finding]:
    """Each lane has to be served by a worker."""
    try:
        found = services.store.lanes.all()
    except RedisError:
        return
    for each in found:
        if each.is_unserved:
            todo = f"Start `python -m workers.worker`, or one with `--queues {each.name}`; its handlers wait."
            yield Finding("fail", f"lane {each.name}", f"no worker serves it; {each.due} runs are due", todo)
        elif each.paused:
            todo = f"flask lanes resume {each.name}"
            said = f"paused by {each.paused.by} at {each.paused.at}; {each.due} runs are due"
            yield Finding("warn", f"lane {each.name}", said, todo)


def durability(services: Services) -> Iterator[Finding]:
    """Whether this Redis can give what DURABILITY asks for, and where callbacks go while it is away."""
    level = services.settings.durability
    try:
        advice = services.store.durable.check()
    except DurabilityUnsupported as error:
        yield Finding("fail", "DURABILITY", str(error), "Or choose another level: docs/settings.md.")
    except RedisError:
        return
    else:
        yield Finding("warn" if advice else "ok", "DURABILITY", " ".join(advice) or level)


def spool(services: WebServices) -> Iterator[Finding]:
    if services.spool is None:
        todo = (
            "Set it to a folder on a local disk: without it, callbacks get 503 while Redis is unavailable, "
            "and CI may not retry them."
        )
        yield Finding("warn", "SPOOL_DIR", "is not set", todo)
        return
    condition, waiting = services.spool.condition()
    if condition == "ok":
        yield Finding("ok", "SPOOL_DIR", f"{waiting} bytes pending")
    else:
        yield Finding("fail", "SPOOL_DIR", condition, "Free space on its disk, or let this user write to it.")


def set_aside(services: WebServices) -> Iterator[Finding]:
    """Spool records that were set aside: nothing replays them until a person does."""
    if services.spool and (aside := services.spool.set_aside()).records:
        todo = "`flask spool list` shows why; fix the cause, then `flask spool retry`: docs/durability.md."
        yield Finding("warn", "Set aside", f"{aside.records} records, {aside.bytes} bytes", todo)


_LOST = (
    "Restore Redis from a backup. Without one: create new API keys (`flask keys create`), list revoked tokens in "
    "REVOKED_TOKENS, import CI's jobs (`flask jobs import`); then run `flask spool accept`."
)
_FOREIGN = (
    "If this is another installation, give it a SPOOL_DIR of its own. If Redis moved without its data, proceed as for "
    "an empty one (docs/durability.md), then run `flask spool accept`. Until then this spool is not replayed."
)


def installation(services: WebServices) -> Iterator[Finding]:
    """Whether this is the Redis with which the installation was set up: it holds the same id as SPOOL_DIR."""
    if services.installation is None:
        return
    try:
        state = services.installation.state()
    except RedisError:
        return
    if state == "ok":
        yield Finding("ok", "Installation", "Redis and SPOOL_DIR agree")
    else:
        todo = _LOST if state == "lost" else _FOREIGN
        yield Finding("fail", "Installation", services.installation.explain(state), todo)


def handlers(services: Services) -> Iterator[Finding]:
    """Import HANDLERS in a process of their own: the web service never holds that code."""
    names = ", ".join(services.settings.handlers)
    command = [sys.executable, "-m", "workers.import_check", *services.settings.handlers]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, cwd=ROOT, capture_output=True, text=True, timeout=_HANDLERS_S, check=False
        )
    except subprocess.TimeoutExpired:
        todo = "A handler module should do nothing when it is imported."
        yield Finding("fail", "HANDLERS", f"importing {names} takes longer than {_HANDLERS_S} s", todo)
        return
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["unknown"])[-1]
        yield Finding("fail", "HANDLERS", said, "Fix the module, or remove it from HANDLERS.")
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    yield Finding("ok", "HANDLERS", f"{', '.join(found) or 'none'} in {names}")


def keys(services: Services) -> Iterator[Finding]:
    try:
        count = len(services.store.api_keys.list())
    except RedisError:
        return
    if count:
        yield Finding("ok", "API keys", f"{count}")
    else:
        yield Finding(
            "warn", "API keys", "none, so the API cannot be used", "flask keys create NAME --scope read"
        )


def open_refusals(services: Services) -> Iterator[Finding]:
    """Callbacks that were refused although their token was valid: a person should look at them."""
    try:
        count, _ = services.store.refusals.open()
        newest = services.store.refusals.newest(1)
    except RedisError:
        return
    if not newest:
        yield Finding("ok", "refusals", "no open refusals")
        return
    said = f"{count} open, the newest for {newest[0].reason} at {rfc3339(newest[0].received_ms)}"
    todo = "flask refusals list; fix the cause, then flask refusals retry, or dismiss with a reason."
    yield Finding("warn", "refusals", said, todo)
