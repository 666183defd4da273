"""A problem document as an answer over a raw connection."""

from __future__ import annotations

from tests import raw


def is_problem(answer: raw.Answer, status: int, reason: str) -> None:
    assert (answer.status, answer.document["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
