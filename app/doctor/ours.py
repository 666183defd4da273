"""Our own parts: processes, handlers, API keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from redis.exceptions import RedisError

from app.core.clock import rfc3339
from app.doctor.finding import Finding
from app.settings import ROOT
from app.store import NotOffered
from app.web.services import Services, WebServices

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


def durability(services: Services) -> Iterator[Finding]:
    """Whether this Redis can give what DURABILITY asks for, and where callbacks go while it is away."""
    level = services.settings.durability
    try:
        advice = services.store.durable.check()
    except NotOffered as error:
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
        yield Finding("fail", "SPOOL_DIR", condition, "Is its disk full, or not writable by this user?")


def set_aside(services: WebServices) -> Iterator[Finding]:
    """Nothing waits for these records, and nobody else looks for them."""
    if services.spool and (aside := services.spool.set_aside()).records:
        todo = "`flask spool list` shows why; fix the cause, then `flask spool retry`: docs/durability.md."
        yield Finding("warn", "Set aside", f"{aside.records} records, {aside.bytes} bytes", todo)


_LOST = (
    "Restore Redis from a backup if there is one. If not: make API keys anew (`flask keys create`), name revoked "
    "tokens in REVOKED_TOKENS, ask CI for its jobs (`flask jobs import`); then `flask spool accept`."
)
_FOREIGN = (
    "Two installations? Give this one a SPOOL_DIR of its own. Has Redis moved without its data? As for an empty one, "
    "docs/durability.md; then `flask spool accept`. Until then nothing is taken from this spool."
)


def installation(services: WebServices) -> Iterator[Finding]:
    """Whether Redis still is the one that this installation began with."""
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
    """Imported by a process of their own: the web service never holds them."""
    names = ", ".join(services.settings.handlers)
    command = [sys.executable, "-m", "workers.check", *services.settings.handlers]
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
            "warn", "API keys", "none: nobody can use the API", "flask keys create NAME --scope read"
        )


def refusals(services: Services) -> Iterator[Finding]:
    """Callbacks that were turned away although their token was good: a person should look."""
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
