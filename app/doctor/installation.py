"""Our own parts: durability, handlers, API keys, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from redis.exceptions import RedisError

from app.core.clock import rfc3339
from app.core.processes import ROOT
from app.doctor.finding import Finding
from app.doctor.preflight import missing_keys
from app.services import Services
from app.store import DurabilityUnsupported

_HANDLERS_S = 60


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
        message = (done.stderr.strip().splitlines() or ["unknown"])[-1]
        yield Finding("fail", "HANDLERS", message, "Fix the module, or remove it from HANDLERS.")
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    yield Finding("ok", "HANDLERS", f"{', '.join(found) or 'none'} in {names}")


def callback_keys(services: Services) -> Iterator[Finding]:
    """Processes that run since before a key was removed still work; the next start would be refused."""
    try:
        missing = missing_keys(services.settings, services.store.submissions)
    except RedisError:
        return
    if missing:
        message = f"lacks keys that signed the URLs of jobs that have not ended: {missing}"
        todo = "Put them back, behind the first one; or, if they have leaked, name them in CALLBACK_KEYS_WITHDRAWN."
        yield Finding("fail", "CALLBACK_KEYS", message, todo)
    else:
        known = ", ".join(key.id for key in services.settings.callback_keys)
        yield Finding("ok", "CALLBACK_KEYS", f"{known}: all that open jobs need")


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
    message = f"{count} open, the newest for {newest[0].reason} at {rfc3339(newest[0].received_ms)}"
    todo = "flask refusals list; fix the cause, then flask refusals retry, or dismiss with a reason."
    yield Finding("warn", "refusals", message, todo)
