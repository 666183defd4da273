"""The meaning of an endpoint's answer: delivered, retried, or a failure; and whether the endpoint itself is failing.

By Standard Webhooks (https://www.standardwebhooks.com) 2xx is delivered, and 410 Gone ends the deliveries.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct

from workers.forward.http_post import EndpointAnswer

_LONGEST_WAIT_S = 24 * 3600.0
_TEXT_MAX = 300
# The cause is the endpoint and not this event: it is slow, full or broken.
_TROUBLE = frozenset({408, 425, 429})


class DeliveryResult(Struct, frozen=True):
    """``error`` is ``None`` if it was delivered. ``final``: no further try. ``trouble``: the endpoint is the cause,
    and is paused. ``ours``: the endpoint is not the cause. ``again_in_s``: its ``Retry-After``, in seconds. ``text``:
    the beginning of its answer."""

    error: str | None
    final: bool = False
    trouble: bool = False
    ours: bool = False
    again_in_s: float | None = None
    status: int | None = None
    text: str | None = None


def result_of(answer: EndpointAnswer) -> DeliveryResult:
    """2xx is delivered, 410 ends it, redirects are not followed; everything else is retried."""
    status = answer.status
    if 200 <= status < 300:
        return DeliveryResult(None, status=status)
    text = answer.text[:_TEXT_MAX] or None
    if status == 410:
        return DeliveryResult(
            "answered 410 Gone: it accepts no more of these", final=True, status=status, text=text
        )
    if 300 <= status < 400:
        where = answer.headers.get("Location", "nowhere")[:200]
        return DeliveryResult(
            f"answered {status}, to {where}: redirects are not followed", status=status, text=text
        )
    waiting = retry_after(answer.headers.get("Retry-After")) if status in {429, 503} else None
    message = f"answered {status}" + (f", retry after {waiting:g} s" if waiting else "")
    trouble = status >= 500 or status in _TROUBLE
    return DeliveryResult(message, trouble=trouble, again_in_s=waiting, status=status, text=text)


def retry_after(value: str | None) -> float | None:
    """Seconds from now, from either form of the header (RFC 9110, 10.2.3), at most a day; ``None`` for neither."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), _LONGEST_WAIT_S)
