"""Clients for Redis, against a real server."""

from __future__ import annotations

import time

from app.redis.connection import connect
from harness.servers import Valkey, default_redis_timeout


def test_a_client_that_blocks_on_purpose_is_not_cut_short(valkey: Valkey) -> None:
    """Whatever time-out the library has for clients that name none: the tail and the workers wait in silence."""
    silence = default_redis_timeout() + 0.5
    began = time.monotonic()
    assert not connect(valkey.url, timeout=None).xread({"nothing": "$"}, block=int(silence * 1000))
    assert time.monotonic() - began >= silence
