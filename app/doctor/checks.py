"""The checks of ``flask doctor``, in order: each is a function that yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.doctor import callback_urls, ci, installation, public_url, redis
from app.doctor.finding import Finding
from app.web.services import WebServices

CHECKS: tuple[Callable[[WebServices], Iterator[Finding]], ...] = (
    redis.reachable,
    redis.rights,
    redis.keeps,
    redis.room,
    installation.durability,
    installation.spool,
    installation.set_aside,
    installation.installation,
    installation.processes,
    installation.lanes,
    installation.handlers,
    installation.keys,
    installation.open_refusals,
    ci.clock,
    ci.account,
    ci.objects,
    ci.strange_buckets,
    public_url.leads_here,
    callback_urls.by_hand,
)
