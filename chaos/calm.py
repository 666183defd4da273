"""Waiting until all queues are empty: only then can missing callbacks be counted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from app.spool import SUFFIX
from app.store import UNAVAILABLE, Store
from app.store.events.outbox import GROUP


def is_calm(store: Store, spools: Sequence[Path]) -> bool:
    """Whether spools, outbox and schedules are all empty."""
    if any(True for spool in spools for _ in spool.glob(f"*{SUFFIX}")):
        return False
    try:
        redis, key = store.db.client, store.db.key
        groups = [g for g in redis.xinfo_groups(key("events")) if g["name"].decode() == GROUP]
        schedules = [key("runs"), *(key("deliveries", each) for each in store.deliveries.endpoints())]
        return (
            bool(groups)
            and groups[0]["pending"] == 0
            and groups[0]["last-delivered-id"].decode() == store.outbox.last_id()
            and not any(redis.zcard(schedule) for schedule in schedules)
        )
    except UNAVAILABLE:
        return False


def until(true: Callable[[], object], what: str, seconds: float) -> float:
    """Seconds until ``true()``. After ``seconds`` it prints a line and returns; the verification follows anyway."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            sys.stderr.write(f"gave up waiting for {what} after {seconds:g} s\n")
            break
        time.sleep(0.2)
    return time.monotonic() - began
