"""News about jobs, stored as those of a callback are."""

from __future__ import annotations

import secrets
from typing import Any

from app.ci.incoming.payload import parse
from app.services import Services
from app.store import News
from app.store.accept.identity import event_id
from app.store.runs.run import Start
from tests.ci import samples


def body(job_id: str, state: str = "Success", **changes: Any) -> bytes:
    """A VoiceSeparate callback in JSON."""
    return samples.to_json(samples.event(samples.voice_separate(JobId=job_id, State=state, **changes)))


def tell(
    services: Services, state: str = "Success", job_id: str | None = None, **changes: Any
) -> tuple[str, str]:
    """Store the news; return the ids of the job and of the event."""
    job_id = job_id or f"j{secrets.token_hex(8)}"
    content = body(job_id, state, **changes)
    details = parse(content).details
    services.store.acceptor.accept(News(details, "callback", "token", body=content))
    return job_id, event_id(job_id, details[0].report.digest)


def a_failure(services: Services, handler: str = "mine.publish", tag: str = "VoiceSeparate") -> str:
    """An event whose only run is out of tries; returns its id."""
    job_id, event_id = tell(services, Tag=tag)
    runs = services.store.runs
    (posted,) = [each for each in services.store.outbox.after("0-0", 100) if each.event.event_id == event_id]
    runs.plan([(posted.event, [(handler, None)])])
    (run,) = runs.of_job(job_id)
    assert runs.start(Start(run.id, 1, 0, "w")) == -1
    return event_id
