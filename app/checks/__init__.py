"""What ``flask doctor`` looks at: one small function for each thing that can be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.checks import ci, ours, public, redis
from app.checks.finding import Finding
from app.services import Services

CHECKS: tuple[Callable[[Services], Iterator[Finding]], ...] = (
    redis.reachable,
    redis.keeps,
    redis.room,
    ours.durability,
    ours.spool,
    ours.processes,
    ours.handlers,
    ours.keys,
    ci.account,
    ci.clock,
    ci.objects,
    ci.strange_buckets,
    public.address,
)

__all__ = ["CHECKS", "Finding"]
