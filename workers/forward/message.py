"""The message of a delivery: a CloudEvent 1.0 in structured JSON, signed by Standard Webhooks.

https://github.com/cloudevents/spec, https://www.standardwebhooks.com; each is made by its own library.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cloudevents.core.bindings.http import to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import SecretStr
from standardwebhooks import Webhook

from app.core import traces
from app.core.event_kinds import TROUBLES
from app.settings import Settings
from app.store import Event, Job

_USER_AGENT = "ci-callback-receiver"
_TYPES = {
    "overdue": "ci.job.overdue",
    "doubt": "ci.job.doubt",
    "run_failed": "ci.run.failed",
    "submission_failed": "ci.submission.failed",
}
"""The ``type`` of events about trouble, by kind; the ``type`` of news contains the job's state."""


def message(event: Event, job: Job | None, settings: Settings) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of one request; the time in the signature is now."""
    structured = to_structured(_cloud_event(event, job, settings), JSONFormat())
    headers = {name.title(): value for name, value in structured.headers.items()}
    signed = sign(settings.forward_keys, event.event_id, structured.body)
    return structured.body, headers | signed | _way(event) | {"User-Agent": _USER_AGENT}


def _way(event: Event) -> dict[str, str]:
    """Headers that connect the endpoint's logs with ours: the request id of the callback, and its ``traceparent``, or
    that of this delivery if traces are on."""
    trace = traces.current_step().traceparent or event.traceparent
    given = {"X-Request-Id": event.request_id, "traceparent": trace}
    return {name: value for name, value in given.items() if value}


def sign(keys: Sequence[SecretStr], event_id: str, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks: one signature for each key, the first key's first."""
    now = datetime.now(UTC)
    signatures = [Webhook(key.get_secret_value()).sign(event_id, now, body.decode()) for key in keys]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _cloud_event(event: Event, job: Job | None, settings: Settings) -> CloudEvent:
    attributes = {
        "id": event.event_id,
        "source": settings.public_url or f"urn:ci-callback-receiver:{settings.key_prefix.strip(':')}",
        "type": _TYPES.get(event.kind) or f"ci.job.{(event.state or 'unknown').lower()}",
        "subject": event.job_id or event.submission,
        "time": datetime.fromisoformat(event.at),
        "datacontenttype": "application/json",
    }
    if event.replay_of:
        attributes["replayof"] = event.replay_of
    data: dict[str, Any] = {
        "event_id": event.event_id,
        "kind": event.kind,
        "replay_of": event.replay_of,
        "job": job.model_dump(mode="json") if job else None,
    }
    if event.kind in TROUBLES:
        data |= {"details": event.details, "count": event.count}
    return CloudEvent(attributes, data)
