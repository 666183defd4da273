"""Every kind of key that we keep in Redis. KEYS.md says what each one holds, who writes it and who removes it.

A key is ``<KEY_PREFIX><kind>`` or ``<KEY_PREFIX><kind>:<id>``. The kind comes first and holds no colon, the id comes
last, so that no id can name a key of another kind, or the key of another id.
"""

from __future__ import annotations

from typing import Final, Literal

Type = Literal["string", "hash", "list", "set", "zset", "stream"]

KINDS: Final[dict[str, Type]] = {
    "schema": "hash",
    "job": "hash",
    "record": "list",
    "body": "string",
    "jobs": "zset",
    "touched": "zset",
    "due": "zset",
    "index": "zset",
    "values": "zset",
    "slow": "string",
    "slow_times": "string",
    "questions": "string",
    "strange_buckets": "zset",
    "submission": "hash",
    "request": "string",
    "claims": "set",
    "submissions": "zset",
    "lost": "zset",
    "open": "zset",
    "mark": "string",
    "spent": "string",
    "events": "stream",
    "past": "stream",
    "runs_of": "hash",
    "report_of": "string",
    "burst": "string",
    "lane": "zset",
    "lanes": "hash",
    "runs": "zset",
    "lookups": "zset",
    "failures": "zset",
    "tries": "hash",
    "answers": "hash",
    "newest": "zset",
    "handlers": "set",
    "url": "hash",
    "urls": "zset",
    "flooded": "zset",
    "endpoints": "set",
    "endpoint": "hash",
    "deliveries": "zset",
    "refusal": "hash",
    "refused": "zset",
    "refused_of": "zset",
    "refused_bytes": "hash",
    "revoked": "set",
    "keys": "hash",
    "sign_in": "string",
    "audit": "stream",
    "installation": "string",
    "presence": "zset",
    "probe": "string",
}
"""The kinds, each with its Redis type."""

EARLIER: Final = frozenset({"report", "history", "event", "run", "job_runs"})
"""Kinds of earlier releases, used by migrations only."""


def key(prefix: str, kind: str, each: str | None = None) -> str:
    """The key of that kind: the only one, or with ``each`` the one of that id."""
    if kind not in KINDS:
        raise KeyError(f"{kind!r} is not a kind of key: add it to app/store/keys.py and KEYS.md")
    return f"{prefix}{kind}" if each is None else f"{prefix}{kind}:{each}"
