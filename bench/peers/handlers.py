"""A handler that only records its start time, if requested (``HANDLERS``)."""

from __future__ import annotations

import os
import time

from workers.handlers import Event, Job, handler

_NOTES = os.environ.get("BENCH_NOTES")


@handler(state="Success")
def nothing(event: Event, job: Job) -> None:
    """A no-op; with BENCH_NOTES it appends a line per run: the job and the wall-clock time in seconds."""
    if _NOTES:
        line = f"{event.job_id} {time.time()}\n".encode()
        file = os.open(_NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)
