"""`POST /jobs`: check a request and make its jobs."""

from __future__ import annotations

import dataclasses
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.ci import rules
from emulator.http.errors import EmulatorError
from emulator.http.tree import Tree, XmlError, child, from_xml, text
from emulator.jobs import ids
from emulator.jobs.jobs import CallBack, Job, Plan

if TYPE_CHECKING:
    from emulator.account import Target
    from emulator.ci.queues import Queue
    from emulator.faults import Fault
    from emulator.state import Emulator


@dataclass(frozen=True)
class _Request:
    """What is common to the jobs of one submit."""

    tree: Tree
    target: Target
    submit: str
    queue: Queue | None
    callback: CallBack
    now: float


def read_request(body: bytes) -> Tree:
    """The children of <Request>. Raises EmulatorError `MissingContent`, `InvalidContent`."""
    if not body.strip():
        raise EmulatorError("MissingContent", "The request has no body.")
    try:
        return from_xml(body, "Request")
    except XmlError as fault:
        raise EmulatorError("InvalidContent", f"The body cannot be read: {fault}.") from fault


def submit(emulator: Emulator, target: Target, body: bytes) -> list[Job]:
    """Check a request and make its jobs, one per Operation. Raises EmulatorError."""
    tree = read_request(body)
    _check(emulator, target, tree)
    request = _Request(
        tree=tree,
        target=target,
        submit=secrets.token_hex(8),
        queue=_queue(emulator, target, tree),
        callback=CallBack(text(tree, "CallBack"), text(tree, "CallBackFormat"), text(tree, "CallBackType")),
        now=time.time(),
    )
    early: list[Job] = []
    with emulator.database.transaction():
        made = []
        for operation in rules.operations_of(tree):
            job, faults = _make(emulator, request, operation if isinstance(operation, dict) else {})
            emulator.jobs.add(job)
            made.append(job)
            early += [job] if "early" in faults else []
    _finish_early(emulator, early)
    emulator.engine.wake()
    return made


def _check(emulator: Emulator, target: Target, tree: Tree) -> None:
    settings = emulator.settings
    problems = rules.submit_problems(tree, public_callbacks=settings.public_callbacks)
    if problems:
        raise EmulatorError("InvalidArgument", "; ".join(problems) + ".")
    for operation in rules.operations_of(tree):
        foreign = rules.foreign_bucket(operation)
        if foreign:
            raise EmulatorError("AccessDenied", f"Output.Bucket {foreign[:100]!r} is another account's.", 403)
        wanted = text(operation, "TemplateId")
        if wanted and settings.strict_templates and emulator.templates.get(target.bucket, wanted) is None:
            raise EmulatorError("TemplateNotFound", f"There is no template {wanted[:100]!r}.")


def _queue(emulator: Emulator, target: Target, tree: Tree) -> Queue | None:
    """The queue that the request names; None if it names none."""
    wanted = text(tree, "QueueId")
    if not wanted:
        return None
    queue = emulator.queues.get(target.bucket, wanted)
    if queue is None:
        raise EmulatorError("QueueNotFound", f"There is no queue {wanted[:100]!r}.")
    return queue


def _make(emulator: Emulator, request: _Request, operation: Tree) -> tuple[Job, dict[str, Fault]]:
    tag = rules.tag_of(request.tree, operation)
    queue = request.queue or emulator.queues.for_tag(request.target.bucket, tag)
    if emulator.jobs.waiting(request.target.bucket, queue.id) >= emulator.settings.queue_size:
        raise EmulatorError("QueueSaturated", "The queue is full.")
    faults = emulator.faults.for_job(request.target.bucket, tag)
    plan = _plan(emulator, faults)
    source = child(request.tree, "Input")
    job = Job(
        id=ids.job_id(tag),
        submit=request.submit,
        bucket=request.target.bucket,
        region=request.target.region,
        tag=tag,
        tag_inside=bool(text(operation, "Tag")),
        queue_id=queue.id,
        queue_type=queue.category,
        input=_located(source, request.target),
        operation=_shown(emulator, request.target.bucket, operation),
        callback=request.callback,
        plan=plan,
        state="Submitted",
        created=request.now,
        next_at=request.now + plan.queue_seconds,
    )
    return (job.pause() if queue.state == "Paused" else job), faults


def _located(source: Tree, target: Target) -> Tree:
    """The Input node of answers: bucket and region are those of the request's host."""
    key = text(source, "Object")
    rest = {name: node for name, node in source.items() if name not in {"BucketId", "Object", "Region"}}
    return {"BucketId": target.bucket, "Object": key, "Region": target.region, **rest} if key else rest


def _plan(emulator: Emulator, faults: dict[str, Fault]) -> Plan:
    settings = emulator.settings
    plan = Plan(settings.queue_seconds, settings.run_seconds)
    if "stuck" in faults:
        return dataclasses.replace(plan, outcome="never")
    if "fail" in faults:
        code = faults["fail"].code or "InternalError"
        message = faults["fail"].message or "The job failed because of an injected fault."
        return dataclasses.replace(plan, outcome="Failed", code=code, message=message)
    return plan


def _shown(emulator: Emulator, bucket: str, operation: Tree) -> Tree:
    """The Operation node of answers: a template by id and name, in CI's order, JobLevel 0 by default."""
    shown = dict(operation)
    wanted = text(shown, "TemplateId")
    if wanted:
        template = emulator.templates.get(bucket, wanted)
        named: Tree = {"TemplateId": wanted, "TemplateName": template.name if template else "template"}
        shown.pop("VoiceSeparate", None)
        tag: Tree = {"Tag": shown.pop("Tag")} if "Tag" in shown else {}
        shown = {**tag, **named, **{name: node for name, node in shown.items() if name != "TemplateId"}}
    return {**shown, "JobLevel": text(shown, "JobLevel") or "0"}


def _finish_early(emulator: Emulator, jobs: list[Job]) -> None:
    """End jobs and deliver their callbacks before their submit is answered."""
    for job in jobs:
        outcome = "Success" if job.plan.outcome == "never" else job.plan.outcome
        running = job.run(time.time())
        for callback_id in emulator.engine.finish(
            running, outcome, job.plan.code, job.plan.message, held=True
        ):
            outgoing = emulator.outbox.get(callback_id)
            if outgoing is not None and outgoing.status == "held":  # a delayed one is not waited for
                emulator.engine.delivery.attempt(callback_id)
