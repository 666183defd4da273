"""A callback as far as it was read, and the refusal that is kept of it."""

from __future__ import annotations

from msgspec import Struct, convert
from msgspec.structs import asdict

from app.core.logs.origin import Origin
from app.core.tokens import Binding
from app.store.refusals.refusal import Refusal
from app.web.problems import Problem


class ReceivedCallback(Struct):
    """Its fields are filled in while it is read, so that a refusal keeps what was read by then.

    ``token`` is the fingerprint; ``whole``: ``body`` is all that was sent.
    """

    binding: Binding
    token: str
    content_type: str = ""
    body: bytes = b""
    whole: bool = False
    job_ids: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    origin: Origin | None = None


def as_refusal(received: ReceivedCallback, problem: Problem) -> Refusal:
    return Refusal(
        problem.reason,
        problem.detail,
        received.token,
        binding={name: value for name, value in asdict(received.binding).items() if value},
        job_ids=received.job_ids,
        body=received.body,
        whole=received.whole,
        content_type=received.content_type,
    )


def from_refusal(refusal: Refusal) -> ReceivedCallback:
    binding = convert(dict(refusal.binding), Binding)
    return ReceivedCallback(binding, refusal.token, refusal.content_type, refusal.body, refusal.whole)
