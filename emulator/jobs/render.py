"""Jobs in CI's formats: API answers, and callbacks in XML or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from emulator.http.tree import Node, Tree, to_xml
from emulator.jobs.ids import moment
from emulator.jobs.jobs import TERMINAL, Job

EVENT = "TaskFinish"


def detail(job: Job, now: float, state: str | None = None) -> Tree:
    """A JobsDetail in the node order of API answers.

    `state` shows the job in another state, for callbacks out of order.
    """
    state = state or job.state
    final = state in TERMINAL
    started = None if state in {"Submitted", "Pause"} else job.started or now
    tree: Tree = {
        "Code": job.code if state == job.state else "Success",
        "Message": job.message if state == job.state else "",
        "JobId": job.id,
        "State": state,
    }
    if state == "Running":
        tree["Progress"] = str(job.progress(now) if job.state == "Running" else 50)
    tree |= {
        "CreationTime": moment(job.created),
        "StartTime": moment(started if state != "Cancel" else job.started),
        "EndTime": moment((job.ended or now) if final else None),
        "QueueId": job.queue_id,
        "QueueType": job.queue_type,
    }
    if not job.tag_inside:
        tree["Tag"] = job.tag
    if job.input:
        tree["Input"] = job.input
    return tree | {"Operation": _operation(job, with_result=state == "Success")}


def _operation(job: Job, *, with_result: bool) -> Tree:
    shown: Tree = dict(job.operation)
    last: Tree = {name: shown.pop(name) for name in ("UserData", "JobLevel") if name in shown}
    return {**shown, **(job.result if with_result else {}), **last}


def answer(tree: Tree) -> bytes:
    return to_xml("Response", tree, declaration=True)


def callback(details: Sequence[Tree], form: str, dialect: str) -> bytes:
    """The body of a callback: nodes in alphabetical order; `form` is XML or JSON.

    CI's two editions of the same page differ in JSON: JobsDetail is an array (of one) or an object, and one
    page wraps the whole in Response. Empty nodes are written in XML and left out in JSON; every scalar is a
    string.
    """
    ordered = [_alphabetical(_as_called_back(one)) for one in details]
    if form == "XML":
        return to_xml("Response", {"EventName": EVENT, "JobsDetail": [*ordered]})
    jobs: Any = [_without_empty(one) for one in ordered]
    if dialect == "object" and len(jobs) == 1:
        jobs = jobs[0]
    body: dict[str, Any] = {"EventName": EVENT, "JobsDetail": jobs}
    return json.dumps({"Response": body} if dialect == "wrapped" else body, ensure_ascii=False).encode()


_UNSAID = {"WordsGeneralize": frozenset({"QueueId", "QueueType", "StartTime", "State", "Tag"})}
"""Nodes that CI's callbacks of a tag lack, and its answers have."""


def _as_called_back(job: Tree) -> Tree:
    unsaid = _UNSAID.get(str(job.get("Tag")), frozenset())
    return {name: node for name, node in job.items() if name not in unsaid}


def _alphabetical(node: Node) -> Node:
    if isinstance(node, dict):
        return {name: _alphabetical(node[name]) for name in sorted(node)}
    return [_alphabetical(one) for one in node] if isinstance(node, list) else node


def _without_empty(node: Node) -> Node:
    if isinstance(node, dict):
        kept = {name: _without_empty(value) for name, value in node.items()}
        return {name: value for name, value in kept.items() if value not in ("", {}, [])}
    return [_without_empty(one) for one in node] if isinstance(node, list) else node
