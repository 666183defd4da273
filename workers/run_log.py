"""Log lines of a run: one at the end of each try; and the fields (request, job, event) of every line during it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from app.core import traces
from app.core.logs import about
from app.core.logs.origin import Origin
from app.store import Event
from app.store.runs.run import End, Run

_WORDS = {"done": "done", "waiting": "retried", "failed": "failed"}


@contextmanager
def about_run(run: Run, event: Event | None) -> Iterator[None]:
    """Add the run's fields to every line of the block, also to a handler's own; and make the block a span in the trace
    of the callback."""
    request_id, traceparent = (event.request_id, event.traceparent) if event else (None, None)
    facts = {
        "request_id": request_id,
        "trace_id": Origin("", traceparent or "").trace_id,
        "job_id": run.job_id,
        "event_id": run.event_id,
        "handler": run.handler,
        "endpoint": run.endpoint,
    }
    kind: traces.SpanKind = "client" if run.endpoint else "consumer"
    step_name = "delivery" if run.endpoint else "run"
    with about(**facts), traces.span(step_name, kind, traceparent or "") as step:
        step.tell(facts)
        yield


def log_end(log: logging.Logger, run: Run, end: End, why: str = "") -> None:
    """Log the end of a try. ``why`` is the error of an endpoint or of CI."""
    result = _WORDS.get(end.state, end.state)
    traces.current_step().tell({"try": end.number, "result": result, "ms": end.entry.get("ms")})
    if end.state != "done":
        traces.current_step().fail(result)
    level = logging.INFO if end.state == "done" else logging.WARNING
    if not log.isEnabledFor(level):
        return
    # An exception's text is the user's, and may hold anything: its record has it, the log has its name.
    error = why or (end.entry.get("error") or "").partition(":")[0]
    log.log(
        level,
        "run %s, try %d: %s%s",
        run.id,
        end.number,
        result,
        f" ({error})" if error else "",
        extra={"try": end.number, "result": result, "ms": end.entry.get("ms")},
    )
