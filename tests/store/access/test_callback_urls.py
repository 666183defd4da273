"""Callback URLs that an operator made are listed by name and fingerprint, never by their token."""

from __future__ import annotations

import pytest

from app.core.clock import now_ms
from app.store import Store, Unavailable
from app.store.access.callback_urls import CallbackUrl
from harness.servers import Valkey
from harness.settings import make_settings

DAY = 86_400_000


def test_created_urls_are_listed(store: Store) -> None:
    """Newest first, as they were made; the list shows the last use and a revocation."""
    now = now_ms()
    plain = CallbackUrl("a" * 12, "console", created=now - 5000)
    bound = CallbackUrl("b" * 12, "录音 队列", ("VoiceSeparate", "Transcode"), "b-1", now, now + DAY)
    for url in (bound, plain):
        store.callback_urls.add(url)
    assert store.callback_urls.list() == [bound, plain]
    store.db.client.hset(store.db.key("url", plain.fingerprint), "used", now)
    store.refusals.revoke(bound.fingerprint)
    listed = {url.fingerprint: url for url in store.callback_urls.list()}
    assert (listed[plain.fingerprint].used, listed[bound.fingerprint].revoked) == (now, True)


def test_a_url_that_was_only_used_is_listed(store: Store) -> None:
    """The URL of an earlier release is listed from its first use on, with what is known of it."""
    store.db.client.hset(store.db.key("url", "c" * 12), mapping={"used": 9, "count": 1, "minute": 2})
    store.db.client.zadd(store.db.key("urls"), {"c" * 12: 7})
    assert store.callback_urls.list() == [CallbackUrl("c" * 12, "", created=7, used=9)]


def test_entries_go_a_while_after_their_url_has_expired(store: Store) -> None:
    """The entry stays as long again as the URL was valid, at most as long as jobs are stored; one that never expires
    stays."""
    now = now_ms()
    ages = {"never": (now - 900 * DAY, None), "long": (now - 40 * DAY, now - 8 * DAY)}
    ages |= {"short": (now - 3 * DAY, now - 2 * DAY), "late": (now - 40 * DAY, now - 6 * DAY)}
    for n, (name, (created, expires)) in enumerate(ages.items()):
        store.callback_urls.add(CallbackUrl(str(n) * 12, name, created=created, expires=expires))
    assert store.callback_urls.drop_expired(7 * 86_400) == 2
    assert {url.name for url in store.callback_urls.list()} == {"never", "late"}
    assert len(store.db.client.keys(f"{store.db.prefix}url:*")) == 2


def test_where_redis_is_away_that_is_said(valkey: Valkey) -> None:
    settings = make_settings("redis://127.0.0.1:9/0")
    store = Store.open(settings.redis_url, settings.key_prefix, timeout=0.3)
    with pytest.raises(Unavailable):
        store.callback_urls.add(CallbackUrl("a" * 12, "console", created=1))
