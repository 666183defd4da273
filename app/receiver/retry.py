"""Retrying a refusal as if the callback came now: the present code and settings decide."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from app.core.clock import now_ms, rfc3339
from app.receiver.received import from_refusal
from app.receiver.take import Result, take
from app.receiver.verify import check_revoked
from app.store.refusals.refusal import Refusal
from app.web.problems import Problem
from app.web.services import WebServices


class Partial(Exception):
    """Only part of the body was read when it was refused, so it cannot be parsed."""


class Retried(BaseModel):
    """Accepted, with the outcome of each job; or refused again: it stays on the list, with the new ``reason``."""

    id: str
    taken: bool
    results: tuple[Result, ...]
    reason: str | None
    detail: str | None

    @classmethod
    def not_taken(cls, refusal_id: str, reason: str, detail: str) -> Self:
        return cls(id=refusal_id, taken=False, results=(), reason=reason, detail=detail)


def retry_refusal(web: WebServices, refusal: Refusal, by: str) -> Retried:
    """Check it like a callback that comes now, except for the token's expiry and the caller's address.

    Raises ``Partial``; raises ``Problem`` if nothing can be stored now, and then the refusal is unchanged.
    """
    if not refusal.whole:
        raise Partial(
            "Only part of its body was read, so it cannot be accepted. Ask CI about the job, or dismiss it."
        )
    note = {"refusal": refusal.id, "refused_at": rfc3339(refusal.received_ms), "by": by}
    try:
        check_revoked(refusal.token, web.settings)
        results = take(web, from_refusal(refusal), note)
    except Problem as problem:
        if problem.retry_after is not None:
            raise
        act = {"act": "retry", "at": rfc3339(now_ms()), "by": by, "reason": problem.reason}
        web.store.refusals.amend(refusal, problem.reason, problem.detail, act)
        return Retried.not_taken(refusal.id, problem.reason, problem.detail)
    web.store.refusals.taken(refusal)
    return Retried(id=refusal.id, taken=True, results=tuple(results), reason=None, detail=None)
