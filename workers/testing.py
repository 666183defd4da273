"""For the tests of your own handlers: no Redis, no server, no CI.

from workers.testing import event_from

def test_publish() -> None:
    event, job = event_from(Path("recorded.json").read_bytes())
    publish(event, job)
"""

from __future__ import annotations

from typing import Any

from app.ci.incoming.payload import parse
from app.core.clock import now_ms, rfc3339
from app.store import Event, Job
from app.store.jobs.accept import event_id


def event_from(body: bytes, position: int = 0, **changes: Any) -> tuple[Event, Job]:
    """What a handler gets for a callback, from its exact bytes (XML or JSON).

    ``position`` chooses among the jobs of one body; ``changes`` replace fields of the event, such as ``replay_of``.
    Raises ``app.ci.incoming.payload.Refused``, a ValueError, for what is no callback. The bytes of a real one are at
    ``GET /v1/jobs/<job_id>/events/<entry>/raw``.
    """
    detail = parse(body).details[position]
    report = detail.report
    fields: dict[str, Any] = {
        "event_id": event_id(report.job_id, report.digest),
        "job_id": report.job_id,
        "kind": "callback",
        "state": report.state,
        "tag": report.tag,
        "version": 1,
        "at": rfc3339(now_ms()),
        "entry": 1,
        "report": report.to_dict(),
    }
    event = Event(**(fields | changes))
    ours = {
        "submission": None,
        "labels": event.labels,
        "doubt": None,
        "outputs_count": len(report.outputs),
        "outputs_unchecked": None,
        "verification": "token",
        "source": event.kind,
        "raw": detail.raw,
    }
    return event, Job.model_validate(event.report | ours | {"version": event.version, "updated_at": event.at})
