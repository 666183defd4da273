"""PUBLIC_URL: does it lead here, for a GET and for a POST, and can CI use it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import requests

from app.checks.finding import Finding
from app.ci.callback_rules import is_private
from app.services import Services

_PATIENCE_S = 10
_TODO = "Is the web process running, and does the proxy pass this address (and its path prefix) on to it?"


def address(services: Services) -> Iterator[Finding]:
    url = services.settings.public_url
    if url is None:
        todo = (
            "Set it to the address at which CI reaches this service. Until then CI is asked about every job."
        )
        yield Finding("warn", "PUBLIC_URL", "is not set: jobs go out with CallBack=no", todo)
        return
    yield from _usable(services, url)
    yield from _leads_here(url)


def _usable(services: Services, url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if services.settings.ci_endpoint is None and is_private(parts.hostname or ""):
        todo = "CI does not call private addresses: use a public one, or leave PUBLIC_URL out."
        yield Finding("fail", "PUBLIC_URL", f"{parts.hostname} is a private address", todo)
    elif parts.scheme == "http" and not is_private(parts.hostname or ""):
        todo = "Use https: whoever reads a callback's address on its way can send callbacks for that job."
        yield Finding("warn", "PUBLIC_URL", "is plain http", todo)


def _leads_here(url: str) -> Iterator[Finding]:
    """As seen from this machine; CI's way may be another."""
    try:
        seen = requests.get(f"{url}/healthz", timeout=_PATIENCE_S, allow_redirects=False)
        posted = requests.post(
            f"{url}/callbacks/doctor", data=b"{}", timeout=_PATIENCE_S, allow_redirects=False
        )
    except requests.RequestException as error:
        yield Finding(
            "fail", "PUBLIC_URL", f"{url} cannot be reached from here ({type(error).__name__})", _TODO
        )
        return
    if _word(seen, "status") != "ok":
        yield Finding(
            "fail", "PUBLIC_URL", f"{url}/healthz answers {seen.status_code}, and not as ours does", _TODO
        )
    elif posted.status_code != 403 or not _word(posted, "reason"):
        said = f"a POST below {url}/callbacks/ is answered with {posted.status_code} by somebody else"
        yield Finding("fail", "PUBLIC_URL", said, "Let the proxy pass POST requests on, unchanged.")
    else:
        yield Finding("ok", "PUBLIC_URL", f"{url} leads here")


def _word(answer: requests.Response, name: str) -> str | None:
    try:
        value = answer.json().get(name)
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None
