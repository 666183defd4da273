"""For the tests of your own handlers: no Redis, no server, no CI.

from workers.testing import event_from

def test_publish() -> None:
    event, job = event_from(Path("recorded.json").read_bytes(), labels={"show": "news"})
    publish(event, job)
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec

from app.ci.incoming.payload import parse
from app.ci.report import STATES, TERMINAL
from app.core.clock import now_ms, rfc3339
from app.store import Event
from app.store.accept.identity import event_id
from workers.outputs import ObjectAccess, ReadableJob, readable

_DAY_MS = 86_400_000


def event_from(
    body: bytes,
    position: int = 0,
    *,
    labels: Mapping[str, str] | None = None,
    submission: Mapping[str, Any] | str | None = None,
    outputs: Mapping[str, bytes] | None = None,
    **changes: Any,
) -> tuple[Event, ReadableJob]:
    """The event and the job that a handler gets for a callback, made of its exact bytes (XML or JSON).

    ``position`` chooses among the jobs of one body. ``labels`` and ``submission`` (an id, or fields such as
    ``deadline`` and ``overdue``) are those of the submission; ``outputs`` are the bytes of objects by name, which
    ``open()`` and ``download()`` read. ``changes`` replace fields of the event, such as ``kind``, ``details`` or
    ``replay_of``; ``state`` and ``tag`` change the job too. Raises ``app.ci.incoming.payload.Refused``, a ValueError,
    for other bytes. Those of a real callback are at ``GET /v1/jobs/<job_id>/events/<entry>/raw``.
    """
    detail = parse(body).details[position]
    report = detail.report
    if (state := changes.pop("state", report.state)) not in {*STATES, None}:
        raise ValueError(f"state={state!r} is not one of CI's states: {', '.join(sorted(STATES))}")
    report = msgspec.structs.replace(
        report, state=state, terminal=state in TERMINAL, tag=changes.pop("tag", report.tag)
    )
    fields: dict[str, Any] = {
        "event_id": event_id(report.job_id, report.digest),
        "job_id": report.job_id,
        "kind": "callback",
        "version": 1,
        "at": rfc3339(now_ms()),
        "entry": 1,
        "labels": dict(labels or {}),
    }
    # Fields that event and job both have are taken from the report.
    agreed = {"state": report.state, "tag": report.tag, "report": report.to_dict()}
    event = Event(**(fields | changes | agreed))
    ours = {
        "submission": _submission(submission, labels),
        "labels": event.labels,
        "doubt": None,
        "outputs_count": len(report.outputs),
        "outputs_unchecked": None,
        "verification": "token",
        "source": event.kind,
        "raw": detail.raw,
    }
    job = ReadableJob.model_validate(event.report | ours | {"version": event.version, "updated_at": event.at})
    return event, readable(job, ObjectAccess(_Objects(outputs or {}), 3600))


def _submission(
    given: Mapping[str, Any] | str | None, labels: Mapping[str, str] | None
) -> dict[str, Any] | None:
    """The fields of the submission. Labels need one, because they belong to a submission."""
    if given is None and not labels:
        return None
    now = now_ms()
    fields = {
        "id": given if isinstance(given, str) else "s0000000000000000",
        "submitted_at": rfc3339(now),
        "callback": "own",
        "deadline": rfc3339(now + _DAY_MS),
        "overdue": False,
    }
    return fields | (dict(given) if isinstance(given, Mapping) else {})


class _Objects:
    """Objects by name, in place of a bucket."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self._objects = objects

    def open_object(self, bucket: str, region: str, key: str) -> BinaryIO:
        if key not in self._objects:
            raise FileNotFoundError(f"{bucket}/{key} is not in outputs=… of this test")
        return io.BytesIO(self._objects[key])

    def presigned_url(self, bucket: str, region: str, key: str, seconds: int) -> str:
        return f"https://{bucket}.cos.{region}.myqcloud.com/{key}?expires={seconds}"
