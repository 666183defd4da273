"""What an endpoint's answer means: taken, to be tried again, or never; and whether the endpoint is in trouble."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from workers.forward.http_post import EndpointAnswer

_LONGEST_WAIT_S = 24 * 3600.0
_TEXT_MAX = 300
# Not the fault of this one event: the endpoint is slow, full or broken.
_TROUBLE = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """``error`` is ``None`` for what was taken. ``final``: no further try. ``trouble``: it is the endpoint's fault, so
    it is given a rest. ``ours``: the endpoint has nothing to do with it. ``again_in_s`` is when it asked us to come
    back."""

    error: str | None
    final: bool = False
    trouble: bool = False
    ours: bool = False
    again_in_s: float | None = None
    status: int | None = None
    text: str | None = None


def result_of(answer: EndpointAnswer) -> DeliveryResult:
    """2xx is yes, 410 is never again; redirects are not followed; all else is tried again."""
    status = answer.status
    if 200 <= status < 300:
        return DeliveryResult(None, status=status)
    text = answer.text[:_TEXT_MAX] or None
    if status == 410:
        return DeliveryResult("answered 410: it wants this no more", final=True, status=status, text=text)
    if 300 <= status < 400:
        where = answer.headers.get("Location", "nowhere")[:200]
        return DeliveryResult(
            f"answered {status}, to {where}: redirects are not followed", status=status, text=text
        )
    waiting = retry_after(answer.headers.get("Retry-After")) if status in {429, 503} else None
    said = f"answered {status}" + (f", come back in {waiting:g} s" if waiting else "")
    trouble = status >= 500 or status in _TROUBLE
    return DeliveryResult(said, trouble=trouble, again_in_s=waiting, status=status, text=text)


def retry_after(value: str | None) -> float | None:
    """Seconds from now, from either form of the header; at most a day. ``None`` for what is neither."""
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
