"""What ``flask doctor`` looks at: one small function for each thing that can be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.doctor import ci, ours, public, redis, urls
from app.doctor.finding import Finding
from app.web.services import WebServices

CHECKS: tuple[Callable[[WebServices], Iterator[Finding]], ...] = (
    redis.reachable,
    redis.rights,
    redis.keeps,
    redis.room,
    ours.durability,
    ours.spool,
    ours.set_aside,
    ours.installation,
    ours.processes,
    ours.handlers,
    ours.keys,
    ours.refusals,
    ci.clock,
    ci.account,
    ci.objects,
    ci.strange_buckets,
    public.address,
    urls.by_hand,
)

__all__ = ["CHECKS", "Finding"]
