"""PUBLIC_URL: does it lead to this installation, for GET and POST, and can CI call it?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from redis.exceptions import RedisError

from app.ci.outgoing.rules.callback_rules import is_private
from app.core.network.networks import is_public
from app.core.network.outward import Unreachable, as_address, resolved
from app.core.tokens import Binding, fingerprint, mint, new_nonce
from app.doctor.finding import Finding, FindingLevel
from app.services import Services
from app.store import Unavailable

if TYPE_CHECKING:
    import requests

_PATIENCE_S = 10
_PROBE = b'{"code":0,"message":"Test request when setting callback url","data":{"trace_id":"doctor"}}'
"""The test message of CI's console: nothing of it is stored."""
_OTHER = (
    "Correct PUBLIC_URL, or give both the same settings. Were they changed since the web process was started or "
    "reloaded? Then reload it."
)
_TODO = "Is the web process running, and does the proxy pass this address (and its path prefix) on to it?"


def leads_here(services: Services) -> Iterator[Finding]:
    url = services.settings.public_url
    if url is None:
        todo = (
            "Set it to the address at which CI reaches this service. Until then CI is asked about every job."
        )
        yield Finding("warn", "PUBLIC_URL", "is not set: jobs go out with CallBack=no", todo)
        return
    yield from _usable(services, url)
    yield from _reached_by_post(services, url)


def _usable(services: Services, url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if services.settings.ci_endpoint is None and is_private(parts.hostname or ""):
        todo = "CI does not call private addresses: use a public one, or leave PUBLIC_URL out."
        yield Finding("fail", "PUBLIC_URL", f"{parts.hostname} is a private address", todo)
    elif parts.scheme == "http" and not is_private(parts.hostname or ""):
        todo = "Use https: anyone who reads a callback URL in transit can send callbacks for that job."
        yield Finding("warn", "PUBLIC_URL", "is plain http", todo)
    if services.settings.ci_endpoint is None and not is_private(parts.hostname or ""):
        yield from _in_public_dns(parts.hostname or "")


def _in_public_dns(host: str) -> Iterator[Finding]:
    """A name that is private here may be public for CI: a warning."""
    try:
        found = resolved(host, 443)
    except Unreachable as error:
        yield Finding("fail", "PUBLIC_URL", str(error), "Add the name to DNS, or correct PUBLIC_URL.")
        return
    if not any(is_public(as_address(each)) for each in found):
        todo = "CI must resolve it to a public address: look it up from outside (`dig @1.1.1.1`), or change its record."
        yield Finding("warn", "PUBLIC_URL", f"{host} is at {found[0]} here, which is not public", todo)


def senders(services: Services) -> Iterator[Finding]:
    """With ``ip``, a proxy that is not declared is the sender of every callback."""
    settings = services.settings
    if "ip" not in settings.verify or settings.public_url is None:
        return
    if settings.trusted_proxies:
        yield Finding("ok", "VERIFY", f"ip, behind {', '.join(map(str, settings.trusted_proxies))}")
        return
    todo = "Name the proxy's network in TRUSTED_PROXIES, and let it set X-Forwarded-For; or take ip out of VERIFY."
    message = (
        "contains ip and TRUSTED_PROXIES is empty: behind a proxy every callback has the proxy's address"
    )
    # The web process speaks no TLS, so an https address has a proxy in front.
    level: FindingLevel = "fail" if settings.public_url.startswith("https:") else "warn"
    yield Finding(level, "VERIFY", message, todo)


def _reached_by_post(services: Services, url: str) -> Iterator[Finding]:
    """As seen from this machine; CI's route may differ."""
    import requests  # noqa: PLC0415 - workers and the relay import the checks, and do not ask

    try:
        seen = requests.get(f"{url}/healthz", timeout=_PATIENCE_S, allow_redirects=False)
        with _revoked_token(services) as token:
            posted = requests.post(
                f"{url}/callbacks/{token}", data=_PROBE, timeout=_PATIENCE_S, allow_redirects=False
            )
    except requests.RequestException as error:
        message = f"{url} cannot be reached from here ({type(error).__name__})"
        yield Finding("fail", "PUBLIC_URL", message, _TODO)
        return
    if _word(seen, "status") != "ok":
        message = f"{url}/healthz answers {seen.status_code}, but not as this service does"
        found = _other_prefix(url)
        todo = (
            f"It answers at {found}: set PUBLIC_URL to that, or let the proxy pass this path on."
            if found
            else _TODO
        )
        yield Finding("fail", "PUBLIC_URL", message, todo)
    else:
        yield _who_answers(url, posted, token is not None)


def _other_prefix(url: str) -> str | None:
    """Where this service answers on that host: below a shorter path, or none."""
    import requests  # noqa: PLC0415 - as above

    parts = urlsplit(url)
    above = PurePosixPath(parts.path or "/").parents
    for path in (str(each).rstrip("/") for each in above):
        found = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        with suppress(requests.RequestException):
            seen = requests.get(f"{found}/healthz", timeout=_PATIENCE_S, allow_redirects=False)
            if _word(seen, "status") == "ok":
                return found
    return None


def _who_answers(url: str, posted: requests.Response, is_revoked: bool) -> Finding:
    """Only this installation has both the key that signed the token and the Redis in which it is revoked."""
    reason = _word(posted, "reason")
    if reason == "bad_token" and not is_revoked:
        message = f"{url} answers as this service does; doctor cannot identify it while Redis is unavailable"
        return Finding("warn", "PUBLIC_URL", message)
    if reason == "bad_token":
        message = f"{url} leads to an installation with other CALLBACK_KEYS than these settings have"
        return Finding("fail", "PUBLIC_URL", message, _OTHER)
    if posted.status_code == 200 and _has_results(posted):
        message = (
            f"{url} leads to an installation with the same CALLBACK_KEYS and another Redis, or KEY_PREFIX"
        )
        return Finding("fail", "PUBLIC_URL", message, _OTHER)
    if reason == "revoked_token":
        return Finding("ok", "PUBLIC_URL", f"{url} leads here")
    if reason == "ip_not_allowed":
        message = f"{url} answers as this service does; ALLOWED_IPS excludes doctor, so no more was checked"
        return Finding("ok", "PUBLIC_URL", message)
    message = f"a POST below {url}/callbacks/ is answered with {posted.status_code} by another server"
    return Finding("fail", "PUBLIC_URL", message, "Let the proxy pass POST requests on, unchanged.")


@contextmanager
def _revoked_token(services: Services) -> Iterator[str | None]:
    """A token that is revoked while the block lasts; ``None`` while Redis is unavailable."""
    expires = int(time.time()) + 10 * _PATIENCE_S
    token = mint(Binding(expires=expires, nonce=new_nonce()), services.settings.callback_keys)
    try:
        services.store.refusals.revoke(fingerprint(token))
    except (Unavailable, RedisError):
        yield None
        return
    try:
        yield token
    finally:
        with suppress(RedisError):
            services.store.refusals.pardon(fingerprint(token))


def _has_results(answer: requests.Response) -> bool:
    try:
        return isinstance(answer.json().get("results"), list)
    except (ValueError, AttributeError):
        return False


def _word(answer: requests.Response, name: str) -> str | None:
    try:
        value = answer.json().get(name)
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None
