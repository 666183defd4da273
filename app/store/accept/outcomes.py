"""The result of accepting news: an outcome for each job, or the reason why nothing was stored."""

from __future__ import annotations

from typing import Literal, NamedTuple

Outcome = Literal["accepted", "duplicate", "stale"]


class Taken(NamedTuple):
    """The outcome of each detail, in order. ``new_at`` is when they were stored (RFC 3339); it is set only for CI's
    answer to a submission none of whose jobs was known, so that nothing else is stored of them."""

    outcomes: list[Outcome]
    new_at: str | None = None


class Unavailable(Exception):
    """Redis cannot keep anything now; nothing was stored."""


class NotDurable(Exception):
    """Stored with these ``outcomes``, but below the configured ``DURABILITY``."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("stored, but below the configured DURABILITY")
        self.outcomes = outcomes


class NotBelieved(Exception):
    """What the store holds contradicts it. ``reason``: ``revoked_token``, ``binding_mismatch``, or ``job_has_moved``
    (the job has changed since a person decided about it)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CapReached(Unavailable):
    """``JOBS_MAX`` or ``OUTBOX_MAX`` is reached; nothing was stored."""


class OverLimit(Exception):
    """The URL is over its ``CALLBACK_LIMITS``; nothing was stored. It may be used again in ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"over its limits for {seconds} s")
        self.seconds = seconds
