"""The checks of ``flask doctor``, in order: each is a function that yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.doctor import callback_urls, ci, endpoints, installation, processes, public_url, redis, spool
from app.doctor.finding import Finding
from app.web.services import WebServices

CHECKS: tuple[Callable[[WebServices], Iterator[Finding]], ...] = (
    redis.reachable,
    redis.rights,
    redis.keeps,
    redis.room,
    installation.durability,
    spool.spool,
    spool.disk,
    spool.set_aside,
    spool.installation,
    processes.processes,
    processes.lanes,
    processes.releases,
    installation.handlers,
    installation.callback_keys,
    installation.keys,
    installation.open_refusals,
    ci.clock,
    ci.account,
    ci.region,
    ci.objects,
    ci.strange_buckets,
    public_url.leads_here,
    public_url.senders,
    callback_urls.unbound,
    endpoints.endpoints,
)
