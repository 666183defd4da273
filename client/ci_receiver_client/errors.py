"""What a call can raise. All of it is a ``ReceiverError``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_receiver_client.documents import Job


class ReceiverError(Exception):
    """The call did not do what it should."""


class Problem(ReceiverError):
    """The service refused. ``reason`` is the one machine word of its problem document (RFC 9457)."""

    def __init__(self, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.document = dict(document)
        self.reason = str(document.get("reason"))
        self.status = int(document.get("status", 0))
        self.detail = str(document.get("detail") or document.get("title") or "")
        self.retry_after = retry_after
        super().__init__(f"{self.reason} ({self.status}): {self.detail}")

    @property
    def errors(self) -> tuple[Mapping[str, Any], ...]:
        """The broken rules of a request, each with ``field`` and ``rule``."""
        return tuple(self.document.get("errors", ()))


class UnexpectedAnswer(ReceiverError):
    """An answer that is not the service's own, such as a proxy's page. ``status`` is its HTTP status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(
            f"HTTP {status} without a document of the service: check the URL and what is in front of it."
        )


class Unreachable(ReceiverError):
    """No answer. A submit may have been stored: send it again with the same ``idempotency_key``."""


class NotEnded(ReceiverError, TimeoutError):
    """The time to wait is up. ``job`` is the job as it was last seen, None if no answer came."""

    def __init__(self, job_id: str, job: Job | None) -> None:
        self.job = job
        super().__init__(f"{job_id} has not ended: {job.state if job else 'no answer'}. Wait again.")


class BadDelivery(ReceiverError):
    """A delivery that none of the keys has signed, that is too old, or that is not an event."""
