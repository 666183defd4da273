"""The endpoints that events are forwarded to."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from app.store.deliveries.deliveries import EndpointState


class EndpointView(BaseModel):
    """An endpoint of FORWARD_URLS, or a chat of CHAT_WEBHOOK.

    ``waiting`` counts deliveries. ``failures_in_a_row`` and ``last_error`` count every
    failed try; ``paused_until`` is set while deliveries are paused: after no answer, 5xx, 408, 425 or 429."""

    name: str
    waiting: int
    failures_in_a_row: int
    paused_until: str | None
    last_error: str | None
    last_failure_at: str | None
    last_success_at: str | None

    @classmethod
    def of(cls, state: EndpointState) -> Self:
        return cls.model_validate({name: getattr(state, name) for name in cls.model_fields})


class EndpointsDocument(BaseModel):
    """The endpoints of FORWARD_URLS and CHAT_WEBHOOK, and earlier ones that still have deliveries or failures."""

    endpoints: list[EndpointView]
