"""Refusals: callbacks that were refused although their token was good."""

from __future__ import annotations

import base64
from typing import Any, Self

from pydantic import BaseModel

from app.core.clock import rfc3339
from app.store.refusals.refusal import Refusal, RefusalState


class RefusalView(BaseModel):
    """A callback that was refused. ``token`` is the fingerprint of its URL's token; ``size``
    is how many bytes of body were read, ``whole`` whether that was all of it. ``acts`` are what people have done."""

    id: str
    received_at: str
    spooled_at: str | None
    reason: str
    detail: str
    token: str
    name: str | None
    submission: str | None
    job_ids: tuple[str, ...]
    content_type: str
    size: int
    whole: bool
    state: RefusalState
    acts: tuple[dict[str, str], ...]

    @classmethod
    def of(cls, refusal: Refusal, **more: Any) -> Self:
        same = cls.model_fields.keys() - {"received_at", "spooled_at"} - more.keys()
        return cls(
            received_at=rfc3339(refusal.received_ms),
            spooled_at=rfc3339(refusal.spooled_ms) if refusal.spooled_ms else None,
            **{name: getattr(refusal, name) for name in same},
            **more,
        )


class RefusalWithBody(RefusalView):
    """``body`` where it is text in UTF-8, else ``body_base64``."""

    body: str | None
    body_base64: str | None

    @classmethod
    def of(cls, refusal: Refusal, **more: Any) -> Self:
        try:
            text, encoded = refusal.body.decode(), None
        except UnicodeDecodeError:
            text, encoded = None, base64.b64encode(refusal.body).decode()
        return super().of(refusal, body=text, body_base64=encoded, **more)


class RefusalPage(BaseModel):
    """Newest first. A page may be short; only a ``next_cursor`` of null is the end."""

    refusals: tuple[RefusalView, ...]
    next_cursor: str | None

    @classmethod
    def of(cls, refusals: list[Refusal], next_cursor: str | None) -> Self:
        return cls(refusals=tuple(map(RefusalView.of, refusals)), next_cursor=next_cursor)
