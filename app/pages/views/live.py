"""Notifies an open page of changes (server-sent events); the page then fetches what it shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from flask import Response, current_app, request

from app.api.auth import StreamKey
from app.metrics import counted
from app.pages import blueprint, session
from app.store import UNAVAILABLE
from app.store.events.tail import Full, Listener
from app.web.problems import Problem
from app.web.services import WebServices, services

_COMMENT_S = 15.0
_PAUSE_S = 1.0
"""At most one message a second, however many jobs change."""


@blueprint.get("/live")
def live() -> Response:
    """``event: change``. ``job_id``: only changes of that job."""
    every, seat = services(), ExitStack()
    try:
        seat.enter_context(every.tail.seat())
        listener = seat.enter_context(
            every.tail.listen(every.store.outbox.last_id(), request.args.get("job_id"), None)
        )
        seat.enter_context(counted.LISTENERS.track_inprogress())
    except Full:
        raise Problem("too_many_waiting", "All places for open pages are taken.", retry_after=5) from None
    except UNAVAILABLE:
        seat.close()
        raise
    key = StreamKey(every.store.api_keys, session.current().digest, "read")
    answer = current_app.response_class(_lines(every, listener, key), mimetype="text/event-stream")
    answer.call_on_close(seat.close)
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _lines(every: WebServices, listener: Listener, key: StreamKey) -> Iterator[str]:
    yield ": welcome\nretry: 2000\n\n"
    next_comment = time.monotonic() + _COMMENT_S
    while not every.tail.closing.is_set():
        try:
            if not key.is_valid():
                return  # The page connects again, and is sent to the sign-in.
            found = listener.next(max(0.0, min(next_comment - time.monotonic(), key.left_s())))
        except UNAVAILABLE:
            found = []
            every.tail.closing.wait(_PAUSE_S)
        if found:
            yield "event: change\ndata: jobs\n\n"
            next_comment = time.monotonic() + _COMMENT_S
            every.tail.closing.wait(_PAUSE_S)
        elif time.monotonic() >= next_comment:
            yield ": still here\n\n"
            next_comment = time.monotonic() + _COMMENT_S
