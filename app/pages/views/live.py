"""Notifies an open page of changes (server-sent events); the page then fetches what it shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from flask import Response, current_app, request

from app.metrics import counted
from app.pages import blueprint
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
    answer = current_app.response_class(_lines(every, listener), mimetype="text/event-stream")
    answer.call_on_close(seat.close)
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _lines(every: WebServices, listener: Listener) -> Iterator[str]:
    yield ": welcome\nretry: 2000\n\n"
    spoken = time.monotonic()
    while not every.tail.closing.is_set():
        try:
            found = listener.next(_COMMENT_S)
        except UNAVAILABLE:
            found = []
            every.tail.closing.wait(_PAUSE_S)
        if found:
            yield "event: change\ndata: jobs\n\n"
            spoken = time.monotonic()
            every.tail.closing.wait(_PAUSE_S)
        elif time.monotonic() - spoken >= _COMMENT_S:
            yield ": still here\n\n"
            spoken = time.monotonic()
