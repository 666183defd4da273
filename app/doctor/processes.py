"""Our processes: is each role there, is each lane served, and do all run one release?"""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import RedisError

from app.core.processes import RELEASE
from app.doctor.finding import Finding
from app.services import Services

_ROLES = ("web", "relay", "worker")


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
            message = f"paused by {each.paused.by} at {each.paused.at}; {each.due} runs are due"
            yield Finding("warn", f"lane {each.name}", message, todo)


def releases(services: Services) -> Iterator[Finding]:
    """Processes of two releases may run side by side only while an upgrade lasts."""
    try:
        found = {role: services.store.presence.releases(role) for role in _ROLES}
    except RedisError:
        return
    others = [
        f"{role} {release or 'of an earlier release'} ({count})"
        for role, counted in found.items()
        for release, count in sorted(counted.items())
        if release != RELEASE
    ]
    if others:
        todo = "Restart those with this release, web first (docs/how-to/upgrade.md), or run this command with theirs."
        yield Finding("warn", "releases", f"this command is {RELEASE}; running are {', '.join(others)}", todo)
    elif any(found.values()):
        yield Finding("ok", "releases", f"every process runs {RELEASE}")
