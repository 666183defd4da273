"""One refusal: what is kept of a refused callback, and its form in Redis."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from app.core.clock import now_ms, rfc3339

RefusalState = Literal["open", "dismissed"]

_DETAIL_MAX = 300
_TYPE_MAX = 100
_ACTS_MAX = 20
"""The newest acts that are kept: a refusal that is retried again and again must not grow without end."""
REFUSAL_FIELDS = (
    "reason", "detail", "token", "binding", "job_ids", "content_type", "received", "spooled", "size", "whole", "state",
    "acts",
)  # fmt: skip
"""Everything but the body."""


def new_refusal_id() -> str:
    return secrets.token_hex(6)


class Refusal(Struct, frozen=True):
    """A refused callback, as far as it was read.

    ``token`` is its token's fingerprint, ``binding`` that token's binding. ``whole``: ``body`` is all that was sent;
    ``size`` is its length (bytes). ``spooled_ms``: when it was spooled, if Redis was away. ``acts``: what people did
    with it. In a list ``body`` is left out.
    """

    reason: str
    detail: str
    token: str
    binding: Mapping[str, Any] = field(default_factory=dict)
    job_ids: tuple[str, ...] = ()
    body: bytes = b""
    whole: bool = False
    content_type: str = ""
    id: str = field(default_factory=new_refusal_id)
    received_ms: int = field(default_factory=now_ms)
    spooled_ms: int | None = None
    size: int = 0
    state: RefusalState = "open"
    acts: tuple[dict[str, str], ...] = ()

    @property
    def submission(self) -> str | None:
        return self.binding.get("submission")

    @property
    def name(self) -> str | None:
        return self.binding.get("name")


class RefusalFilter(Struct, frozen=True):
    """Which refusals to list; ``None`` matches any. ``after`` and ``before`` are milliseconds since 1970."""

    reason: str | None = None
    job_id: str | None = None
    token: str | None = None
    name: str | None = None
    after: int | None = None
    before: int | None = None

    def matches(self, refusal: Refusal) -> bool:
        same = all(
            getattr(self, name) in {None, getattr(refusal, name)} for name in ("reason", "token", "name")
        )
        return same and (self.job_id is None or self.job_id in refusal.job_ids)


def row_of(refusal: Refusal) -> dict[str, str | int]:
    """Its fields, without its body and without those that refuse.lua adds: ``token``, ``job_ids``, ``bytes``."""
    return {
        "reason": refusal.reason,
        "detail": shortened(refusal.detail),
        "binding": json.dumps(dict(refusal.binding)),
        "content_type": shortened(refusal.content_type, _TYPE_MAX),
        "received": refusal.received_ms,
        "spooled": refusal.spooled_ms or "",
        "size": len(refusal.body),
        "whole": "1" if refusal.whole else "",
        "state": refusal.state,
        "acts": "[]",
    }


def of_row(each: str, row: Mapping[str, str]) -> Refusal:
    """The refusal that ``row_of`` has written, without its body."""
    return Refusal(
        reason=row["reason"],
        detail=row["detail"],
        token=row["token"],
        binding=json.loads(row["binding"]),
        job_ids=tuple(row["job_ids"].split()),
        whole=bool(row["whole"]),
        content_type=row["content_type"],
        id=each,
        received_ms=int(row["received"]),
        spooled_ms=int(row["spooled"]) if row["spooled"] else None,
        size=int(row["size"]),
        state=row["state"],  # type: ignore[arg-type]
        acts=tuple(json.loads(row["acts"])),
    )


def entry_of(refusal: Refusal) -> dict[str, Any]:
    """Its entry in the history of its jobs."""
    entry: dict[str, Any] = {
        "kind": "refused",
        "at": rfc3339(refusal.received_ms),
        "outcome": "refused",
        "reason": refusal.reason,
        "detail": shortened(refusal.detail),
        "token": refusal.token,
        "refusal": refusal.id,
    }
    if refusal.spooled_ms:
        entry["spooled_at"] = rfc3339(refusal.spooled_ms)
    return entry


def with_act(acts: tuple[dict[str, str], ...], act: Mapping[str, str]) -> str:
    return json.dumps([*acts, dict(act)][-_ACTS_MAX:])


def shortened(text: str, most: int = _DETAIL_MAX) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
