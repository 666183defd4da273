"""What both clients do alike with HTTP: the options of a connection, of a request, and which errors pass."""

from __future__ import annotations

from typing import Any

import httpx

from ci_receiver_client.calls import Call
from ci_receiver_client.errors import Problem, ReceiverError, UnexpectedAnswer

PAUSE_S = 1.0
"""Between two questions about the same job."""


def options(url: str, key: str, timeout: float) -> dict[str, Any]:
    """Of a client of httpx. Redirects are not followed: they would carry the key elsewhere."""
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "ci-receiver-client"}
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout}


def request(call: Call[Any], timeout: float) -> dict[str, Any]:
    """Of one request, whose answer the service may hold."""
    return {
        "method": call.method,
        "url": call.path,
        "params": dict(call.query),
        "json": call.body,
        "headers": dict(call.headers),
        "timeout": timeout + call.held_s,
    }


def chosen(job_id: str | None, tag: str | None) -> dict[str, str]:
    """The query of a stream."""
    given = {"job_id": job_id, "tag": tag}
    return {name: value for name, value in given.items() if value is not None}


def raise_unless_passing(error: ReceiverError) -> None:
    """Raises it again unless a later try may be answered: a service, or the proxy before it, that is away or busy."""
    if (
        isinstance(error, Problem | UnexpectedAnswer)
        and error.status < 500
        and error.status not in {408, 429}
    ):
        raise error


def cause(error: httpx.TransportError) -> str:
    return f"No answer ({type(error).__name__}: {error}): check the URL, and whether the service is up."
