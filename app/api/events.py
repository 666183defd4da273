"""GET /v1/events: events as they are made (server-sent events)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack

from flask import Blueprint, Response, current_app, request
from pydantic import BaseModel, Field

from app.api.auth import StreamKey, needs, stream_key
from app.api.requests import StrictQuery, read_query
from app.documents.jobs import StreamedEvent, StreamGap
from app.metrics import counted
from app.store import UNAVAILABLE
from app.store.events.outbox import Posted
from app.store.events.tail import Full, Gap, Listener
from app.web.describe import ApiOperation, described, text_of
from app.web.problems import Problem
from app.web.services import WebServices, services

log = logging.getLogger(__name__)

COMMENT_S = 15.0
"""Seconds between keep-alive comments: proxies close idle connections."""
_STREAM_ID = re.compile(r"\d{1,20}(-\d{1,20})?\Z")

blueprint = Blueprint("events", __name__, url_prefix="/v1")


class StreamQuery(StrictQuery):
    job_id: str | None = Field(None, description="Only events of this job.")
    tag: str | None = Field(None, description="Only events of jobs with this tag.")


@blueprint.get("/events")
@needs("read")
@described(
    ApiOperation(
        "Server-sent events: `id`, `event: job`, `data: {event_id, kind, job}`; `event: gap` if some were removed",
        query=StreamQuery,
        headers={"Last-Event-ID": "Resume after this id; events that are still stored come first."},
        answers={200: "text/event-stream"},
        event=StreamedEvent,
        problems=("too_many_waiting", "store_unavailable"),
    )
)
def stream() -> Response:
    query = read_query(StreamQuery)
    asked = request.headers.get("Last-Event-ID", "").strip()
    if asked and not _STREAM_ID.match(asked):
        raise Problem(
            "invalid_request", "Last-Event-ID must be an id of this stream, such as 1669075200000-0."
        )
    every = services()
    seat = ExitStack()
    try:
        seat.enter_context(every.tail.seat())
        after = asked or every.store.outbox.last_id()
        listener = seat.enter_context(every.tail.listen(after, query.job_id, query.tag))
        seat.enter_context(counted.LISTENERS.track_inprogress())
    except Full:
        raise Problem(
            "too_many_waiting",
            "All places for waiting clients are taken. Try again after Retry-After.",
            retry_after=5,
        ) from None
    except UNAVAILABLE:
        seat.close()
        raise Problem(
            "store_unavailable", "Redis is unavailable. Try again after Retry-After.", retry_after=5
        ) from None
    answer = current_app.response_class(_lines(every, listener, stream_key()), mimetype="text/event-stream")
    answer.call_on_close(seat.close)
    # A proxy that buffers would hold events back.
    answer.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    return answer


def _lines(every: WebServices, listener: Listener, key: StreamKey) -> Iterator[str]:
    yield ": welcome\nretry: 2000\n\n"
    next_comment = time.monotonic() + COMMENT_S
    while not every.tail.closing.is_set():
        try:
            if not key.is_valid():
                return  # The client connects again, and gets the reason as a problem.
            wait_s = max(0.0, min(next_comment - time.monotonic(), key.left_s()))
            lines = [_text(every, each) for each in listener.next(wait_s)]
        except UNAVAILABLE:
            # The stream stays open: events follow when Redis is available again.
            every.tail.closing.wait(1.0)
            lines = []
        if not lines and time.monotonic() >= next_comment:
            lines = [": still here\n\n"]
        for line in lines:
            yield line
            next_comment = time.monotonic() + COMMENT_S


def _text(every: WebServices, each: Posted | Gap) -> str:
    if isinstance(each, Gap):
        return _frame("gap", StreamGap(after=each.after, resumed=each.resumed))
    return every.tail.texts.get(each.stream_id, lambda: _job(every, each))


def _job(every: WebServices, posted: Posted) -> str:
    event = posted.event
    job = every.store.jobs.of_event(event)
    streamed = StreamedEvent(event_id=event.event_id, kind=event.kind, job=job, details=event.details)
    return _frame("job", streamed, posted.stream_id)


def _frame(name: str, data: BaseModel, stream_id: str | None = None) -> str:
    head = f"id: {stream_id}\n" if stream_id else ""
    return f"{head}event: {name}\ndata: {text_of(data)}\n\n"
