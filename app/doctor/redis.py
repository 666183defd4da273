"""Redis: does it accept writes, keep them, and is it a version and mode that we support?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from app.doctor.finding import Finding, FindingLevel
from app.redis import rights as all_rights
from app.redis.connection import MayNotAsk
from app.redis.outage import cause
from app.redis.scripts import decoded
from app.services import Services

_OLDEST = (6, 2)
_FULL = 0.8


def reachable(services: Services) -> Iterator[Finding]:
    """Whether a real write succeeds."""
    try:
        services.store.presence.probe()
    except RedisError as error:
        todo = (
            "Is REDIS_URL right, is the server running, and may this user write? Callbacks cannot be stored."
        )
        yield Finding("fail", "Redis", f"does not accept writes: {cause(error)}", todo)
    else:
        yield Finding("ok", "Redis", "accepts writes")


def rights(services: Services) -> Iterator[Finding]:
    """Whether this user may use every command, key and channel that we need (ACL); without users all is allowed."""
    prefix = services.settings.key_prefix
    try:
        lacking = all_rights.missing(services.store.db.client, prefix)
    except RedisError:
        return
    if lacking:
        todo = f"Give this user what this line gives: {all_rights.acl_line(prefix)}"
        yield Finding("fail", "Redis rights", f"this user lacks {', '.join(lacking)}", todo)
    else:
        yield Finding("ok", "Redis rights", "nothing is missing")


def keeps(services: Services) -> Iterator[Finding]:
    """What INFO reports. Nothing while Redis is unavailable: ``reachable`` reports that."""
    client = services.store.db.client
    try:
        info: dict[str, Any] = client.info()
    except MayNotAsk:
        message = "this user may not use INFO: version, mode, role, persistence, eviction and memory were not checked"
        yield Finding("warn", "Redis", message, "Grant +info, or check them yourself: docs/deploy.md.")
        return
    except RedisError:
        return
    yield from _kind(info)
    yield from _persistence(info)
    yield from _syncs(client, info)
    yield from _memory(info)


def _kind(info: dict[str, Any]) -> Iterator[Finding]:
    text = str(info.get("valkey_version") or info.get("redis_version") or "")
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if version and version < _OLDEST:
        yield Finding("fail", "Redis version", f"{text} is too old", "Use Redis 6.2 or newer, or Valkey.")
    else:
        yield Finding("ok", "Redis version", text or "not reported")
    if info.get("redis_mode") == "cluster":
        todo = (
            "Use one primary with replicas: a callback changes keys that a cluster keeps on different nodes."
        )
        yield Finding("fail", "Redis mode", "cluster", todo)
    if info.get("role") not in {None, "master"}:
        todo = "Point REDIS_URL at the primary, or use redis+sentinel://."
        yield Finding("fail", "Redis role", f"is {info['role']}", todo)


def _persistence(info: dict[str, Any]) -> Iterator[Finding]:
    if int(info.get("aof_enabled", 0)):
        good = info.get("aof_last_write_status", "ok") == "ok"
        message = "append-only file" if good else "the last write of the append-only file failed"
        yield Finding(
            "ok" if good else "fail", "Redis persistence", message, "" if good else "Look at its disk."
        )
        return
    todo = "Set `appendonly yes`: callbacks that were answered with 200 are lost when this server restarts."
    yield Finding("warn", "Redis persistence", "no append-only file", todo)


def _syncs(client: Redis, info: dict[str, Any]) -> Iterator[Finding]:
    """How long a write may exist only in the memory of Redis' machine."""
    if not int(info.get("aof_enabled", 0)):
        return
    try:
        how = decoded(client.config_get("appendfsync").get("appendfsync"))
    except MayNotAsk:
        yield Finding(
            "warn",
            "Redis appendfsync",
            "this user may not use CONFIG GET, so it was not checked",
            "Grant +config|get.",
        )
        return
    except RedisError:
        # Managed servers have no such command.
        return
    if how in {None, "always"}:
        yield Finding("ok", "Redis appendfsync", str(how or "not reported"))
    else:
        lost = "the last second" if how == "everysec" else "what the system has not written yet, often 30 s,"
        todo = (
            "Set `appendfsync always`, or DURABILITY=fsync where Redis has WAITAOF (7.2): docs/durability.md."
        )
        yield Finding("warn", "Redis appendfsync", f"{how}: {lost} is lost when its machine dies", todo)


def _memory(info: dict[str, Any]) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy")
    if policy not in {None, "noeviction"}:
        todo = "Set `maxmemory-policy noeviction`: any other policy deletes jobs when memory is short."
        yield Finding("fail", "Redis eviction", f"maxmemory-policy is {policy}", todo)
    else:
        yield Finding("ok", "Redis eviction", str(policy or "not reported"))
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if most and used > _FULL * most:
        todo = "Raise maxmemory, or shorten RETENTION_JOBS and RETENTION_RAW."
        yield Finding("warn", "Redis memory", f"{used / most:.0%} of maxmemory is in use", todo)


def room(services: Services) -> Iterator[Finding]:
    """Our own limits: above them callbacks go to the spool, or get 503."""
    settings = services.settings
    try:
        counts = (
            ("OUTBOX_MAX", services.store.outbox.size(), settings.outbox_max, "Is the relay running?"),
            (
                "JOBS_MAX",
                services.store.jobs.count(),
                settings.jobs_max,
                "Raise it, or shorten RETENTION_JOBS.",
            ),
        )
    except RedisError:
        return
    for name, count, most, todo in counts:
        level: FindingLevel = "fail" if count >= most else "warn" if count > _FULL * most else "ok"
        yield Finding(level, name, f"{count} of {most}", "" if level == "ok" else todo)
