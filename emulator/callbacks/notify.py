"""Where the end of a job is reported, in which format, and which faults apply to the callback."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.callbacks.outbox import Outgoing
from emulator.http.tree import text
from emulator.jobs.render import callback, detail

if TYPE_CHECKING:
    from emulator.callbacks.outbox import Outbox
    from emulator.ci.queues import Queues
    from emulator.faults import Fault, Faults
    from emulator.jobs.jobs import Job
    from emulator.settings import Settings


@dataclass(frozen=True)
class Destination:
    """Where a callback goes; any `type` but Url is a message queue, which is not emulated."""

    url: str
    format: str
    type: str


def destination(job: Job, queues: Queues) -> Destination | None:
    """The job's own CallBack, else its queue's NotifyConfig; None if neither wants one (`no`, or `Off`)."""
    own = job.callback
    if own.url == "no":
        return None
    if own.url or own.type not in {"", "Url"}:
        return Destination(own.url, (own.format or "XML").upper(), own.type or "Url")
    queue = queues.get(job.bucket, job.queue_id)
    if queue is None or text(queue.notify, "State") != "On":
        return None
    if "TaskFinish" not in text(queue.notify, "Event"):
        return None
    form = own.format or text(queue.notify, "ResultFormat") or "XML"
    return Destination(text(queue.notify, "Url"), form.upper(), text(queue.notify, "Type") or "Url")


class Notifier:
    """Turns ended jobs into callbacks in the outbox."""

    def __init__(self, outbox: Outbox, queues: Queues, faults: Faults) -> None:
        self._outbox = outbox
        self._queues = queues
        self._faults = faults

    def notify(self, jobs: Sequence[Job], settings: Settings, *, held: bool = False) -> list[int]:
        """Put the callback for `jobs` (of one submit, all ended) into the outbox, changed by the faults that apply.

        Returns the ids. The caller sends the `held` ones.
        """
        where = destination(jobs[0], self._queues)
        if where is None:
            return []
        now = time.time()
        faults = self._faults.for_callback(jobs[0].bucket, jobs[0].tag)
        main = self._compose(jobs, where, settings, now)
        if where.type != "Url":
            return [self._outbox.add(dataclasses.replace(main, status="elsewhere", due=None))]
        if "lose" in faults:
            return [self._outbox.add(dataclasses.replace(main, status="lost", due=None))]
        return self._send(jobs, where, settings, _with_faults(main, faults, now, held=held), faults)

    def _send(
        self,
        jobs: Sequence[Job],
        where: Destination,
        settings: Settings,
        main: Outgoing,
        faults: dict[str, Fault],
    ) -> list[int]:
        if "disorder" in faults:
            fault = faults["disorder"]
            older = self._compose(jobs, where, settings, time.time(), fault.state)
            late = self._outbox.add(dataclasses.replace(older, status="waiting", due=None))
            main = dataclasses.replace(main, follow=((late, fault.wait),))
        sent = [self._outbox.add(main)]
        if "duplicate" in faults:
            fault = faults["duplicate"]
            for number in range(1, fault.copies + 1):
                due = (main.due or 0) + number * fault.wait
                sent.append(self._outbox.add(dataclasses.replace(main, due=due, follow=())))
        return sent

    def _compose(
        self,
        jobs: Sequence[Job],
        where: Destination,
        settings: Settings,
        now: float,
        state: str | None = None,
    ) -> Outgoing:
        details = [detail(job, now, state) for job in jobs]
        return Outgoing(
            job_ids=",".join(job.id for job in jobs),
            state=state or jobs[0].state,
            url=where.url,
            format=where.format,
            body=callback(details, where.format, settings.dialect),
            due=now,
        )


def _with_faults(main: Outgoing, faults: dict[str, Fault], now: float, *, held: bool) -> Outgoing:
    if "truncate" in faults:
        main = dataclasses.replace(main, body=main.body[: len(main.body) // 2])
    if "delay" in faults:
        return dataclasses.replace(main, due=now + faults["delay"].wait)
    return dataclasses.replace(main, status="held") if held else main
