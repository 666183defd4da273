"""HTTP behaviour that both clients share: connection options, request options, and which errors are temporary."""

from __future__ import annotations

from typing import Any

import httpx

from ci_receiver_client.calls import Call
from ci_receiver_client.errors import Problem, ReceiverError, UnexpectedAnswer

PAUSE_S = 1.0
"""Seconds between two requests about the same job."""


def options(url: str, key: str, timeout: float) -> dict[str, Any]:
    """The options of an httpx client. Redirects are not followed, because they would send the key to another host."""
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "ci-receiver-client"}
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout}


def request(call: Call[Any], timeout: float) -> dict[str, Any]:
    """The options of one request, including the time for which the service may hold the answer."""
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


def pause_after(error: ReceiverError) -> float:
    """Seconds to wait before the next request, which the service can name. Raises the error again unless it is
    temporary: the service, or a proxy in front of it, is unavailable or busy."""
    if (
        isinstance(error, Problem | UnexpectedAnswer)
        and error.status < 500
        and error.status not in {408, 429}
    ):
        raise error
    named = error.retry_after if isinstance(error, Problem) else None
    return max(PAUSE_S, named or 0.0)


def cause(error: httpx.TransportError) -> str:
    return f"No answer ({type(error).__name__}: {error}): check the URL, and whether the service is up."
