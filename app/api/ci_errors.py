"""What CI said when it would not do as asked, as a problem."""

from __future__ import annotations

from typing import Any

from app.problems import Problem
from app.provider import ProviderError, Throttled, Unavailable


def from_ci(error: ProviderError) -> Problem:
    """What CI said, in its own words."""
    members: dict[str, Any] = {
        "ci_code": error.code,
        "ci_message": error.message,
        "ci_request_id": error.request_id,
    }
    waiting = isinstance(error, Throttled | Unavailable)
    reason = "ci_unavailable" if waiting else "ci_refused"
    return Problem(reason, str(error), retry_after=10 if waiting else None, **members)
