"""Events, and how they are stored beside their runs."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from app.core.clock import rfc3339, to_ms
from app.store.packing.packing import unpack

RunTarget = tuple[str, str | None]
"""The name of a handler, and for deliveries that of the endpoint."""


class Only(Struct, frozen=True):
    """The one handler, or the one endpoint of ``forward``, that an event is for; with neither, it is for none."""

    handler: str | None = None
    endpoint: str | None = None

    def means(self, target: RunTarget) -> bool:
        handler, endpoint = target
        return handler == self.handler or endpoint == self.endpoint is not None

    def __str__(self) -> str:
        if self.handler:
            return f"handler {self.handler}"
        return f"endpoint {self.endpoint}" if self.endpoint else "none"

    @classmethod
    def read(cls, text: str) -> Only:
        """The inverse of ``str``."""
        kind, _, name = text.partition(" ")
        return cls(handler=name or None) if kind == "handler" else cls(endpoint=name or None)


class Event(Struct, frozen=True):
    """An entry that changed a job, or a replay. Handlers run at least once: be idempotent by ``event_id``. With
    ``only`` it is for that handler or endpoint; the others ignore it."""

    event_id: str
    job_id: str
    kind: str
    state: str | None
    tag: str | None
    version: int
    at: str
    entry: int
    report: dict[str, Any]
    replay_of: str | None = None
    runs_handlers: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    """The labels of the submission."""
    only: Only | None = None
    details: dict[str, Any] | None = None
    """What went wrong, for an event about trouble (docs/events.md has the members by kind)."""
    submission: str | None = None
    """The submission's id where there is no job: then ``job_id`` is empty, and handlers get ``None`` as the job."""
    count: int = 1
    """How many events this call stands for: in a burst of one kind, the handler is called once a minute for all."""
    request_id: str | None = None
    """The id of the request that brought the news, as logs name it."""
    traceparent: str | None = None
    """The ``traceparent`` of that request (W3C Trace Context)."""

    @property
    def media(self) -> dict[str, Any] | None:
        """CI's ``MediaInfo`` of the file that the job made; ``None`` if there is none."""
        return self.report.get("media")

    @property
    def result(self) -> dict[str, Any] | None:
        """The result that CI reports for tags whose product is not only a file; ``None`` for the others."""
        return self.report.get("result")


_IN_LINE = ("kind", "state", "tag", "version", "at", "entry", "runs_handlers")


def line_of(event: Event) -> str:
    """The fields of an event that are stored with it (JSON). Its job and its report are stored apart."""
    values = [getattr(event, field) for field in _IN_LINE]
    at = to_ms(event.at)
    values[4] = at if at and rfc3339(at) == event.at else event.at
    return json.dumps(values[:-1] if event.runs_handlers else values, separators=(",", ":"))


def read_event(
    event_id: str,
    line: bytes,
    job_id: bytes,
    replay_of: bytes,
    report: bytes,
    details: bytes,
    submission: bytes,
    request_id: bytes,
    traceparent: bytes,
) -> Event:
    """The inverse of ``line_of``."""
    fields = dict(zip(_IN_LINE, json.loads(line), strict=False))
    if isinstance(fields["at"], int):
        fields["at"] = rfc3339(fields["at"])
    return Event(
        event_id=event_id,
        job_id=job_id.decode(),
        report=msgspec.json.decode(unpack(report)) if report else {},
        replay_of=replay_of.decode() or None,
        details=json.loads(details) if details else None,
        submission=submission.decode() or None,
        request_id=_request_of(request_id) or None,
        traceparent=traceparent.decode() or None,
        **fields,
    )


_OWN_ID: Final = re.compile(r"[0-9a-f]{16}")
"""A request's id as we make them."""


def short_request(request_id: str) -> bytes:
    """An id of ours in nine bytes; NUL is in no header, so that no other id looks like it."""
    return b"\0" + bytes.fromhex(request_id) if _OWN_ID.fullmatch(request_id) else request_id.encode()


def _request_of(stored: bytes) -> str:
    """The inverse of ``short_request``."""
    return stored[1:].hex() if stored.startswith(b"\0") else stored.decode()


def tag_in(line: str) -> str | None:
    """Only the tag, from the output of ``line_of``."""
    tag: str | None = json.loads(line)[_IN_LINE.index("tag")]
    return tag
