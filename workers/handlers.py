"""The API for handlers; also the module that is loaded if ``HANDLERS`` names no other.

A handler gets the event and the job as it was at that event. It runs at least once: make it idempotent by
``event.event_id``. Any exception means that it is tried again later, after a back-off; ``GiveUp`` means that no further
try can help; ``Later(seconds)`` sets the time of the next try. docs/handlers.md has the rest, with tests for handlers.

    @handler(tag="VoiceSeparate", state="Success")
    def publish(event: Event, job: Job) -> None: ...
"""

from __future__ import annotations

import logging

from app.store import Event
from workers.outputs import NotConfirmed, OutputFile
from workers.outputs import ReadableJob as Job
from workers.registry import GiveUp, Handler, Later, handler

__all__ = ["Event", "GiveUp", "Handler", "Job", "Later", "NotConfirmed", "OutputFile", "handler"]

log = logging.getLogger(__name__)


@handler(state=("Success", "Failed", "Cancel"))
def log_end(event: Event, job: Job) -> None:
    """One line for each job that has ended: the smallest useful handler, and an example."""
    log.info("job %s %s (%s), %d outputs", job.job_id, job.state, job.tag, len(job.outputs))
