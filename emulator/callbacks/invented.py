"""Callbacks on order (`POST /_emulator/callbacks`): for a job that is known, or for an invented one."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator import account
from emulator.callbacks import other_events
from emulator.callbacks.delivery import post
from emulator.callbacks.outbox import Outgoing
from emulator.jobs import ids
from emulator.jobs.jobs import STATES, TERMINAL, CallBack, Job, Plan
from emulator.jobs.render import callback, detail
from emulator.jobs.results import produce

if TYPE_CHECKING:
    from emulator.ci.queues import Queue
    from emulator.state import Emulator

MAX_TIMES = 1000


class OrderError(ValueError):
    """An order that cannot be followed; the text says why."""


@dataclass(frozen=True)
class Order:
    """What to send and where.

    `job_id` is a job that the emulator knows; otherwise one is invented from the other fields, and kept, so
    that CI's answers agree with its callback. `times` copies are sent. With `out_of_order` the job's older
    callbacks, Running and Submitted, follow. The tags WorkflowFinish, Probe and Review… send the callbacks of
    those names, which are no media job's. `body` sends that text as it is; only `url`, `format` and
    `times` count then.
    """

    url: str
    job_id: str = ""
    tag: str = "VoiceSeparate"
    format: str = "JSON"
    state: str = "Success"
    times: int = 1
    out_of_order: bool = False
    dialect: str = ""
    bucket: str = account.DEFAULT_BUCKET
    region: str = account.DEFAULT_REGION
    input_object: str = "input/demo.mp4"
    output_object: str = "output/${jobid}/background.${ext}"
    output_au_object: str = "output/${jobid}/vocals.${ext}"
    codec: str = "mp3"
    user_data: str = ""
    job_level: str = "0"
    code: str = ""
    message: str = ""
    body: str = ""


def send(emulator: Emulator, wanted: dict[str, Any]) -> dict[str, Any]:
    """Follow an order at once: `{"job_id", "sent": [{"state", "format", "body", "status", "error", "at"}]}`.

    Nothing is tried again. What was sent is in the log of callbacks too. Raises OrderError.
    """
    order = read(wanted)
    job_id, bodies = _bodies(emulator, order)
    return {"job_id": job_id, "sent": [_one(emulator, order, state, body, job_id) for state, body in bodies]}


def _bodies(emulator: Emulator, order: Order) -> tuple[str | None, list[tuple[str, bytes]]]:
    """The job's id, if there is one, and what to send, each with the state that it tells."""
    if order.body:
        return None, [("", order.body.encode())] * order.times
    states = [order.state] * order.times + (["Running", "Submitted"] if order.out_of_order else [])
    if other_events.is_other(order.tag):
        run_id = order.job_id or other_events.new_id(order.tag)
        made = {state: other_events.body(order, run_id, state) for state in states}
        return run_id, [(state, made[state]) for state in states]
    job, now = _job(emulator, order), time.time()
    dialect = order.dialect or emulator.settings.dialect
    made = {state: callback([detail(job, now, state)], order.format, dialect) for state in states}
    return job.id, [(state, made[state]) for state in states]


def read(wanted: dict[str, Any]) -> Order:
    """Check an order. Raises OrderError."""
    known = {one.name: one for one in dataclasses.fields(Order)}
    if set(wanted) - set(known):
        raise OrderError(f"unknown names {sorted(set(wanted) - set(known))}; there are {', '.join(known)}")
    given = {name: value for name, value in wanted.items() if value is not None}
    for name, value in given.items():
        kind = type(known[name].default) if name != "url" else str
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise OrderError(f"{name} must be {kind.__name__}")
    if not str(given.get("url", "")).startswith(("http://", "https://")):
        raise OrderError("url must be an http or https URL")
    order = Order(**given)
    order = dataclasses.replace(order, format=order.format.upper())
    if order.format not in {"XML", "JSON"}:
        raise OrderError("format must be XML or JSON")
    if order.dialect not in {"", "array", "object", "wrapped", "simple"}:
        raise OrderError("dialect must be array, object, wrapped or, for a review, simple")
    if not 1 <= order.times <= MAX_TIMES:
        raise OrderError(f"times must be 1 to {MAX_TIMES}")
    return order


def _job(emulator: Emulator, order: Order) -> Job:
    known = emulator.jobs.get(order.job_id) if order.job_id else None
    if known is not None:
        return known
    job = _invent(order, emulator.queues.for_tag(order.bucket, order.tag))
    with emulator.database.transaction():
        if job.state == "Success":
            job = dataclasses.replace(job, result=produce(job, emulator.objects, emulator.templates))
        emulator.jobs.add(job)
    return job


def _invent(order: Order, queue: Queue) -> Job:
    """A job that began a few seconds ago and is in the state that was ordered, for good. A state that CI does
    not have is sent, but the job is kept as Running."""
    now = time.time()
    final = order.state in TERMINAL
    failed = order.state == "Failed"
    return Job(
        id=order.job_id or ids.job_id(order.tag),
        submit=ids.request_id(),
        bucket=order.bucket,
        region=order.region,
        tag=order.tag,
        tag_inside=False,
        queue_id=queue.id,
        queue_type=queue.category,
        input={"BucketId": order.bucket, "Object": order.input_object, "Region": order.region},
        operation=_operation(order),
        callback=CallBack("no"),
        plan=Plan(0, 0, "never"),
        state=order.state if order.state in STATES else "Running",
        created=now - 3,
        next_at=None,
        started=None if order.state in {"Submitted", "Pause"} else now - 2,
        ended=now if final else None,
        code=order.code or ("InternalError" if failed else "Success"),
        message=order.message or ("The job failed." if failed else ""),
    )


def _operation(order: Order) -> dict[str, Any]:
    output = {"Region": order.region, "Bucket": order.bucket, "Object": order.output_object}
    tree: dict[str, Any] = {"Output": output, "UserData": order.user_data, "JobLevel": order.job_level}
    if order.tag != "VoiceSeparate":
        return tree
    output["AuObject"] = order.output_au_object
    separation = {"AudioMode": "AudioAndBackground", "AudioConfig": {"Codec": order.codec}}
    return {"VoiceSeparate": separation, **tree}


def _one(emulator: Emulator, order: Order, state: str, body: bytes, job_id: str | None) -> dict[str, Any]:
    form = "XML" if body.lstrip().startswith(b"<") else "JSON"
    timeout = emulator.settings.callback_timeout
    attempt = post(order.url, body, form, timeout, other_events.headers(order))
    status = "sent" if attempt["status"] == 200 else "gave_up"
    emulator.outbox.add(
        Outgoing(job_id or "", state, order.url, form, body, status=status, attempts=(attempt,))
    )
    return {"state": state, "format": form, "body": body.decode("utf-8", "replace"), **attempt}
