"""CI's errors as problems."""

from __future__ import annotations

import math
from typing import Any

from app.provider import ProviderError, RequestRejected
from app.web.problems import Problem

_RETRY_S = 10


def from_ci(error: ProviderError) -> Problem:
    """CI's code and message; ``submission`` if we have a record of the request."""
    members: dict[str, Any] = {
        "ci_code": error.code,
        "ci_message": error.message,
        "ci_request_id": error.request_id,
        "ci_advice": error.advice,
    }
    if error.submission:
        members["submission"] = error.submission
    if isinstance(error, RequestRejected):
        return Problem("ci_refused", str(error), **members)
    return Problem(
        "ci_unavailable", str(error), retry_after=math.ceil(error.retry_after or _RETRY_S), **members
    )
