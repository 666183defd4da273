"""``Idempotency-Key``: the same request sent twice is done once, across processes and for 24 hours."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import g

from app.core.clock import now_ms
from app.store import Unavailable
from app.store.submissions.idempotency import IdempotencyRecord, content_of
from app.store.submissions.submissions import Submission, new_submission_id
from app.web.describe import RepeatedAnswer, ViewAnswer, text_of
from app.web.problems import Problem
from app.web.services import services

log = logging.getLogger(__name__)

_KEPT_S = 24 * 3600
# Longer than the slowest submit (patience, time-outs of CI and of Redis): the process that began it is dead by then.
_IN_FLIGHT_S = 60
_SPACE = "api"

Do = Callable[[str], ViewAnswer]
Recall = Callable[[Submission], ViewAnswer]


def once(key: str | None, body: bytes, do: Do, recall: Recall) -> ViewAnswer | RepeatedAnswer:
    """The answer of ``do(submission id)``, or its earlier answer under this key.

    What certainly came to nothing is not kept, and may be tried again. If that process has died, ``recall``
    answers from the submission that it left behind: it is not sent a second time.
    """
    if not key:
        return do(new_submission_id())
    name = f"{g.api_key.name}\0{key}"
    record = IdempotencyRecord(content_of(body), new_submission_id(), now_ms())
    try:
        before = services().store.idempotency.take(_SPACE, name, record, _KEPT_S)
        if before is not None:
            return _again(name, before, record, do, recall)
    except Unavailable:
        raise Problem("store_unavailable", "Nothing was sent to CI. Try again.", retry_after=10) from None
    return _first(name, record, do)


def _first(name: str, record: IdempotencyRecord, do: Do) -> ViewAnswer:
    try:
        answer = do(record.submission)
    except Problem:
        # A problem says that CI has no job of this request. Any other fault may have come later: its record stays.
        _put(name, record, None)
        raise
    _put(name, record, record.answered(_kept(answer)))
    return answer


def _put(name: str, record: IdempotencyRecord, new: IdempotencyRecord | None) -> None:
    try:
        services().store.idempotency.swap(_SPACE, name, record, new, _KEPT_S)
    except Unavailable:
        log.warning(
            "the answer for an Idempotency-Key could not be stored; repeats are answered from its submission"
        )


def _again(
    name: str, before: IdempotencyRecord, record: IdempotencyRecord, do: Do, recall: Recall
) -> ViewAnswer | RepeatedAnswer:
    if before.content != record.content:
        raise Problem("idempotency_mismatch", "Use a new key for a new request.")
    if before.answer is not None:
        return _replayed(before.answer)
    left = services().store.submissions.get(before.submission)
    if left is not None and left.status != "sending" and not left.came_to_nothing:
        return recall(left)
    if before.age_s < _IN_FLIGHT_S:
        raise Problem(
            "idempotency_in_flight",
            "The first request with this key is still in progress. Try again after Retry-After.",
            retry_after=5,
        )
    if left is not None and left.status == "sending":
        return recall(left)
    # The process died before it had stored anything, or after CI had refused: CI has no job of it.
    if not services().store.idempotency.swap(_SPACE, name, before, record, _KEPT_S):
        raise Problem(
            "idempotency_in_flight",
            "Another request took this key first. Try again after Retry-After.",
            retry_after=5,
        )
    return _first(name, record, do)


def _kept(answer: ViewAnswer) -> dict[str, str | int | None]:
    return {
        "status": answer.status,
        "location": answer.headers.get("Location"),
        "text": text_of(answer.document),
    }


def _replayed(kept: dict[str, str | int | None]) -> RepeatedAnswer:
    headers = {"Idempotent-Replayed": "true"}
    if kept["location"]:
        headers["Location"] = str(kept["location"])
    return RepeatedAnswer(str(kept["text"]), int(str(kept["status"])), headers)
