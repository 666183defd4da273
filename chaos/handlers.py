"""The handler of the suite: it appends one line, unbuffered, each time that it runs."""

from __future__ import annotations

import os
from pathlib import Path

from app.store import Event, Job
from workers.registry import handler

NOTES = "CHAOS_NOTES"


@handler(state="Success", name="count", tries=50, timeout=20, backoff=0.5, backoff_max=5)
def count(event: Event, job: Job) -> None:
    line = f"{event.event_id} {job.job_id} {job.state}\n".encode()
    with Path(os.environ[NOTES]).open("ab", buffering=0) as file:
        file.write(line)
