"""The origin of work: the id of the request that began it, and the trace that it is part of.

Both are passed on with an event to its runs and deliveries, so that one search in the logs finds them all.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Origin(NamedTuple):
    """``traceparent`` is W3C's header (https://www.w3.org/TR/trace-context/), or empty."""

    request_id: str
    traceparent: str = ""

    @property
    def trace_id(self) -> str:
        """32 hex digits, or empty."""
        return self.traceparent[3:35]


def origin_of(request_id: str | None, traceparent: str | None) -> Origin:
    """From the headers ``X-Request-Id`` and ``traceparent`` of a caller or a proxy; a malformed one is ignored. Without
    either the id is a new one of 16 hex digits."""
    trace = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if request_id and _REQUEST_ID.fullmatch(request_id):
        return Origin(request_id, trace[0] if trace else "")
    return Origin(trace[1], trace[0]) if trace else Origin(secrets.token_hex(8))
