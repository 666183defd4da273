"""A handler that does nothing but note when it began, where asked to (``HANDLERS``)."""

from __future__ import annotations

import os
import time

from workers.handlers import Event, Job, handler

_NOTES = os.environ.get("BENCH_NOTES")


@handler(state="Success")
def nothing(event: Event, job: Job) -> None:
    """No-op; with BENCH_NOTES a line for each run: the job and the time of the wall clock, in seconds."""
    if _NOTES:
        line = f"{event.job_id} {time.time()}\n".encode()
        file = os.open(_NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)
