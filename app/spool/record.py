"""Records of the spool. Of a callback: a line of JSON that says how it was verified, then the exact body. Of a refusal:
such a line, then as much of the body as was read, compressed by zlib."""

from __future__ import annotations

import json
import zlib
from typing import Any

from app.ci.incoming.payload import parse
from app.core.clock import now_ms, rfc3339
from app.core.logs.origin import Origin
from app.store.accept.news import News
from app.store.refusals.refusal import Refusal, shortened

_FIELDS = ("verification", "submission", "token", "bind", "hold", "ask_after", "received_ms", "note")
_REFUSAL_FIELDS = ("id", "reason", "detail", "token", "job_ids", "whole", "content_type", "received_ms")


class UnreadableRecord(Exception):
    """A whole record that this version cannot read."""


def encode_record(news: News) -> bytes:
    """Everything needed to replay this callback."""
    head: dict[str, Any] = {"v": 1} | {
        name: getattr(news, name) for name in (*_FIELDS, "url", "place", "origin")
    }
    head["received_ms"] = news.received_ms or now_ms()
    return json.dumps(head).encode() + b"\n" + news.body


def pack_refusal(refusal: Refusal) -> bytes:
    """Everything needed to store this refusal later."""
    given = {name: getattr(refusal, name) for name in _REFUSAL_FIELDS}
    head = given | {
        "detail": shortened(refusal.detail),
        "binding": dict(refusal.binding),
        "spooled_ms": now_ms(),
    }
    return json.dumps({"v": 1, "refusal": head}).encode() + b"\n" + zlib.compress(refusal.body, 1)


def decode_record(payload: bytes) -> News | Refusal:
    """The record, its note extended by the time at which it was spooled. Raises ``UnreadableRecord``."""
    line, _, body = payload.partition(b"\n")
    try:
        head = json.loads(line)
        if "refusal" in head:
            return _refusal(head["refusal"], body)
        known: dict[str, Any] = {name: head[name] for name in _FIELDS}
        # Earlier releases wrote neither.
        known |= {"url": head.get("url"), "place": head.get("place") and tuple(head["place"])}
        known |= {"origin": Origin(*head["origin"]) if head.get("origin") else None}
        details = parse(body).details
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error, RecursionError) as error:
        raise UnreadableRecord(f"{type(error).__name__}: {error}") from error
    known["note"] = (known["note"] or {}) | {"spooled_at": rfc3339(known["received_ms"])}
    return News(details=details, source="callback", body=body, **known)


def _refusal(head: dict[str, Any], body: bytes) -> Refusal:
    known = head | {"job_ids": tuple(head["job_ids"])}
    if "id" in head:
        return Refusal(**known, body=zlib.decompress(body))
    # Written by a release that kept no bodies.
    submission = known.pop("submission")
    return Refusal(
        **known, binding={"submission": submission} if submission else {}, received_ms=head["spooled_ms"]
    )


def with_reason(payload: bytes, reason: str) -> bytes:
    """The same record with the reason why it was set aside; unchanged if its first line cannot be read."""
    line, _, body = payload.partition(b"\n")
    try:
        head = json.loads(line) | {"aside": reason[:300]}
    except (ValueError, TypeError):
        return payload
    return json.dumps(head).encode() + b"\n" + body


def record_summary(payload: bytes) -> tuple[str, list[str]]:
    """Why a record was set aside, and its job ids."""
    try:
        record = decode_record(payload)
    except UnreadableRecord as error:
        return f"cannot be read: {error}", []
    jobs = record.job_ids if isinstance(record, Refusal) else [each.report.job_id for each in record.details]
    head = json.loads(payload.partition(b"\n")[0])
    return head.get("aside", "set aside by an earlier release: see its log"), list(jobs)
