"""``Idempotency-Key``: the same request sent twice is done once, across processes and for 24 hours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from flask import Response, current_app, g

from app.problems import Problem
from app.services import services

_KEPT_S = 24 * 3600
# A process that dies in the middle leaves its mark behind. CI may have taken the job by then, so the key stays
# closed for long enough that whoever repeats it has looked at /v1/jobs first.
_IN_FLIGHT_S = 600


def once(key: str | None, body: bytes, do: Callable[[], Response]) -> Response:
    """``do()``, or the answer that it gave before under this key. Failures are not kept: they may be tried again."""
    if not key:
        return do()
    db = services().store.db
    place = db.key("idempotency", hashlib.sha256(f"{g.api_key.name}\0{key}".encode()).hexdigest())
    mark = hashlib.sha256(body).hexdigest()
    if not db.client.set(place, json.dumps({"body": mark}), nx=True, ex=_IN_FLIGHT_S):
        return _again(json.loads(db.client.get(place) or "{}"), mark)
    try:
        answer = do()
    except Exception:
        db.client.delete(place)
        raise
    kept = {
        "body": mark,
        "status": answer.status_code,
        "location": answer.headers.get("Location"),
        "text": answer.get_data(as_text=True),
    }
    db.client.set(place, json.dumps(kept), ex=_KEPT_S)
    return answer


def _again(kept: dict[str, str | int | None], mark: str) -> Response:
    if kept.get("body", mark) != mark:
        raise Problem("idempotency_mismatch", "Use a new key for a new request.")
    if "status" not in kept:
        raise Problem("idempotency_in_flight", "The first request has not been answered yet.", retry_after=5)
    answer = current_app.response_class(
        str(kept["text"]), int(str(kept["status"])), mimetype="application/json"
    )
    if kept["location"]:
        answer.headers["Location"] = str(kept["location"])
    answer.headers["Idempotent-Replayed"] = "true"
    return answer
