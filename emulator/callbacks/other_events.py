"""Callbacks that tell of something else than a media job: a workflow's run, a review, the console's test message.

Only their shapes are played, on order; nothing here runs a workflow or looks at a picture.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from emulator.http.tree import Tree, to_xml
from emulator.jobs.ids import moment

if TYPE_CHECKING:
    from emulator.callbacks.invented import Order

WORKFLOW = "WorkflowFinish"
PROBE = "Probe"


def is_other(tag: str) -> bool:
    """Whether a tag that was ordered means one of these: WorkflowFinish, Probe, ReviewVideo and its like."""
    return tag in {WORKFLOW, PROBE} or tag.startswith("Review")


def new_id(tag: str) -> str:
    """The id of a run or a review."""
    return ("i" if tag == WORKFLOW else "r") + secrets.token_hex(16)


def body(order: Order, run_id: str, state: str) -> bytes:
    """What is sent. Reviews and the test message are JSON, whatever format was ordered: there is no XML form."""
    if order.tag == WORKFLOW:
        return _workflow(order, run_id, state)
    simple = order.tag == PROBE or order.dialect == "simple"
    return json.dumps(_simple(order, run_id) if simple else _detail(order, run_id, state)).encode()


def headers(order: Order) -> dict[str, str]:
    """Reviews name their form in a header; the others need none."""
    if not order.tag.startswith("Review"):
        return {}
    return {"X-Ci-Content-Version": "Simple" if order.dialect == "simple" else "Detail"}


def _workflow(order: Order, run_id: str, state: str) -> bytes:
    """A run of one task. Its times have a space where a job's have a T: so the samples."""
    now = time.time()
    tree: Tree = {
        "WorkflowId": "w" + "0" * 32,
        "WorkflowName": "workflow",
        "RunId": run_id,
        "State": state,
        "BucketId": order.bucket,
        "Object": order.input_object,
        "CreateTime": moment(now - 3).replace("T", " "),
        "Tasks": {
            "Type": "VoiceSeparate",
            "CreateTime": moment(now - 2).replace("T", " "),
            "EndTime": moment(now).replace("T", " "),
            "State": state,
            "JobId": "j" + run_id[1:],
            "Name": "VoiceSeparate_1",
        },
    }
    if order.format == "XML":
        return to_xml("Response", {"EventName": WORKFLOW, "WorkflowExecution": tree})
    # A task alone may come as a list of one: a field that may repeat is a list here, as JobsDetail is.
    shown: dict[str, Any] = {**tree, "Tasks": tree["Tasks"] if order.dialect == "object" else [tree["Tasks"]]}
    return json.dumps({"EventName": WORKFLOW, "WorkflowExecution": shown}).encode()


def _detail(order: Order, run_id: str, state: str) -> dict[str, Any]:
    """A review's Detail form: one JobsDetail, with numbers that are numbers."""
    job = {
        "JobId": run_id,
        "State": state,
        "CreationTime": moment(time.time()),
        "Object": order.input_object,
        "BucketId": order.bucket,
        "Region": order.region,
        "Label": "Normal",
        "Result": 0,
        "PornInfo": {"HitFlag": 0, "Count": 0},
        "ForbidState": 0,
        "CosHeaders": {},
        "DataId": order.user_data,
    }
    return {"EventName": order.tag, "JobsDetail": job}


def _simple(order: Order, run_id: str) -> dict[str, Any]:
    """A review's Simple form, which the console's test message has, too."""
    probe = order.tag == PROBE
    data = {
        "event": "ReviewText" if probe else order.tag,
        "forbidden_status": 0,
        "porn_info": {"hit_flag": 0, "label": "", "count": 0},
        "result": 0,
        "trace_id": "test_trace_id" if probe else run_id,
        "url": "test_url" if probe else order.input_object,
    }
    return {
        "code": 0,
        "data": data,
        "message": "Test request when setting callback url" if probe else "Success",
    }
