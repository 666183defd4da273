"""However many requests a web process has, its connections to Redis are few."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.redis.breaker import Breaker
from app.redis.connection import connect
from app.settings import Settings


def test_calls_take_turns(settings: Settings) -> None:
    """A hundred callers at once are all answered, by no more connections than calls may run."""
    client = connect(settings.redis_url, timeout=30, breaker=Breaker(calls=3))
    name = "calls-at-once"

    def call(_: int) -> int:
        client.client_setname(name)
        client.blpop([f"{name}:nothing"], timeout=0.02)
        return sum(each["name"] == name for each in client.client_list())

    with ThreadPoolExecutor(100) as callers:
        counts = list(callers.map(call, range(100)))
    assert len(counts) == 100
    assert 1 <= max(counts) <= 3
