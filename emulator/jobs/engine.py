"""The scheduler: moves jobs to their next state when it is due, and dispatches due callbacks."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING

from emulator.callbacks.delivery import Delivery
from emulator.http.tree import text
from emulator.jobs.jobs import QUEUED, Job
from emulator.jobs.results import produce

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.callbacks.notify import Notifier
    from emulator.callbacks.outbox import Outbox
    from emulator.ci.templates import Templates
    from emulator.cos.objects import Objects
    from emulator.database import Database
    from emulator.jobs.jobs import Jobs
    from emulator.settings import Settings

log = logging.getLogger(__name__)

# Every change wakes the scheduler; the longest sleep only bounds the effect of a missed wake-up.
LONGEST_SLEEP = 1.0


class Engine:
    """Changes the state of jobs. A job, its results and its callback change in one transaction."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        objects: Objects,
        templates: Templates,
        notifier: Notifier,
        outbox: Outbox,
        settings: Callable[[], Settings],
    ) -> None:
        self._db = database
        self._jobs = jobs
        self._objects = objects
        self._templates = templates
        self._notifier = notifier
        self._outbox = outbox
        self._settings = settings
        self._awake = threading.Event()
        self.delivery = Delivery(outbox, settings, self.wake)

    def start(self) -> None:
        self.delivery.start()
        threading.Thread(target=self._loop, name="engine", daemon=True).start()

    def wake(self) -> None:
        self._awake.set()

    def _loop(self) -> None:
        while True:
            self._awake.clear()
            try:
                pause = self._turn()
            except Exception:
                log.exception("one turn of the scheduler failed; it goes on with the next")
                pause = LONGEST_SLEEP
            self._awake.wait(pause)

    def _turn(self) -> float:
        """Do what is due; the seconds until the next thing is."""
        now = time.time()
        with self._db.transaction():
            for job in self._jobs.due(now):
                self._advance(job, now)
        self.delivery.dispatch(now)
        moments = [at for at in (self._jobs.next_due(), self._outbox.next_due(now)) if at is not None]
        return max(0.0, min(LONGEST_SLEEP, min(moments, default=now + LONGEST_SLEEP) - time.time()))

    def _advance(self, job: Job, now: float) -> None:
        if job.state == "Submitted":
            self._jobs.save(job.run(now))
        elif job.state == "Running":
            self.finish(job, job.plan.outcome, job.plan.code, job.plan.message)

    def finish(self, job: Job, state: str, code: str, message: str, *, held: bool = False) -> list[int]:
        """End a job now, with its results and its callback; the ids of its callbacks in the outbox."""
        if state == "Success" and not self._has_input(job):
            state, code, message = "Failed", "ResourceNotFound", "The input object does not exist."
        ended = job.end(state, time.time(), code, message)
        with self._db.transaction():
            current = self._jobs.get(job.id)
            if current is None or current.terminal:  # another thread ended it
                return []
            if state == "Success":
                ended = self._with_result(ended)
            self._jobs.save(ended)
            callback_ids = self._notify(ended, held=held)
        self.wake()
        return callback_ids

    def _has_input(self, job: Job) -> bool:
        key = text(job.input, "Object")
        return not self._settings().strict_input or not key or self._objects.get(job.bucket, key) is not None

    def _with_result(self, job: Job) -> Job:
        result = produce(job, self._objects, self._templates)
        if not result and job.tag == "VoiceSeparate":
            return job.end("Failed", time.time(), "InvalidArgument", "Output has no key for this AudioMode.")
        return dataclasses.replace(job, result=result)

    def _notify(self, job: Job, *, held: bool) -> list[int]:
        """CI sends callbacks for Success and Failed only."""
        settings = self._settings()
        jobs = self._jobs.of_submit(job.submit) if settings.group_callbacks else [job]
        if not all(one.terminal for one in jobs):
            return []
        jobs = [one for one in jobs if one.state != "Cancel"]
        return self._notifier.notify(jobs, settings, held=held) if jobs else []

    def force(self, job: Job, state: str, code: str, message: str) -> None:
        """Move a job that has not ended to Running, or end it, regardless of its plan."""
        running = job if job.state == "Running" else job.run(time.time())
        if state == "Running":
            self._jobs.save(running)
            self.wake()
        else:
            failed = state == "Failed"
            self.finish(running, state, code or ("InternalError" if failed else "Success"), message)

    def cancel(self, job: Job) -> bool:
        """Cancel a job that has not started; False if it has."""
        with self._db.transaction():
            current = self._jobs.get(job.id)
            if current is None or current.state not in QUEUED:
                return False
            cancelled = current.end("Cancel", time.time())
            self._jobs.save(cancelled)
            self._notify(cancelled, held=False)
        self.wake()
        return True

    def queue_changed(self, bucket: str, queue_id: str, state: str) -> None:
        """Queued jobs pause and resume with their queue; running jobs are not affected."""
        before, paused = ("Submitted", True) if state == "Paused" else ("Pause", False)
        with self._db.transaction():
            for job in self._jobs.queued(bucket, queue_id, before):
                self._jobs.save(job.pause() if paused else job.resume(time.time()))
        self.wake()
