"""Callback URLs of ``flask callback-url``: the last use of each, and a warning 14 days before it expires."""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import RedisError

from app.core.clock import now_ms, rfc3339
from app.doctor.finding import Finding, FindingLevel
from app.services import Services
from app.store.access.callback_urls import CallbackUrl

_SHOWN = 20


def unbound(services: Services) -> Iterator[Finding]:
    """One finding for each URL in use, those that expire first at the top."""
    try:
        urls = [url for url in services.store.callback_urls.list() if url.is_in_use]
    except RedisError:
        return
    now = now_ms()
    urls.sort(key=lambda url: url.expires or float("inf"))
    for url in urls[:_SHOWN]:
        yield _finding(url, now)
    more = urls[_SHOWN:]
    if more:
        expiring = sum(url.expires_soon(now) for url in more)
        level: FindingLevel = "warn" if expiring else "ok"
        message = f"{len(more)} more, of which {expiring} expire within 14 days"
        yield Finding(level, "callback URLs", message, "See `flask callback-url list`." if expiring else "")


def _finding(url: CallbackUrl, now: int) -> Finding:
    used = f"last used {rfc3339(url.used)}" if url.used else "never used"
    if not url.expires_soon(now):
        end = f"expires {rfc3339(url.expires)}" if url.expires else "never expires"
        return Finding("ok", f"callback URL {url.name}", f"{url.fingerprint}, {used}, {end}")
    end = "has expired" if url.has_expired(now) else "expires"
    todo = (
        f"Make a new one (`flask callback-url --name {url.name}`), paste it where this one stands, "
        f"then `flask callback-url --revoke {url.fingerprint}`."
    )
    assert url.expires is not None  # noqa: S101 - for the type checker
    return Finding(
        "warn", f"callback URL {url.name}", f"{url.fingerprint}, {used}, {end} {rfc3339(url.expires)}", todo
    )
