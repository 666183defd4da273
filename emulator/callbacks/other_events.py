"""Callbacks that are not about a media job: a workflow run, a review, the console's test message.

Only their shapes are emulated, on demand; no workflow runs and no picture is reviewed.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from emulator.http.tree import Tree, to_xml
from emulator.jobs.ids import moment

if TYPE_CHECKING:
    from emulator.callbacks.callback_request import CallbackRequest

WORKFLOW = "WorkflowFinish"
PROBE = "Probe"


def is_other(tag: str) -> bool:
    """Whether a requested tag means one of these: WorkflowFinish, Probe, ReviewVideo and the like."""
    return tag in {WORKFLOW, PROBE} or tag.startswith("Review")


def new_id(tag: str) -> str:
    """The id of a run or a review."""
    return ("i" if tag == WORKFLOW else "r") + secrets.token_hex(16)


def render(spec: CallbackRequest, run_id: str, state: str) -> bytes:
    """The body. Reviews and the test message are always JSON: CI publishes no XML form of them."""
    if spec.tag == WORKFLOW:
        return _workflow(spec, run_id, state)
    simple = spec.tag == PROBE or spec.dialect == "simple"
    return json.dumps(_simple(spec, run_id) if simple else _detail(spec, run_id, state)).encode()


def headers(spec: CallbackRequest) -> dict[str, str]:
    """Reviews name their form in a header; the others need none."""
    if not spec.tag.startswith("Review"):
        return {}
    return {"X-Ci-Content-Version": "Simple" if spec.dialect == "simple" else "Detail"}


def _workflow(spec: CallbackRequest, run_id: str, state: str) -> bytes:
    """A run of one task. As in CI's samples, its times have a space where a job's have a T."""
    now = time.time()
    tree: Tree = {
        "WorkflowId": "w" + "0" * 32,
        "WorkflowName": "workflow",
        "RunId": run_id,
        "State": state,
        "BucketId": spec.bucket,
        "Object": spec.input_object,
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
    if spec.format == "XML":
        return to_xml("Response", {"EventName": WORKFLOW, "WorkflowExecution": tree})
    # CI sends a repeatable field as a list even if it holds one item, as JobsDetail.
    shown: dict[str, Any] = {**tree, "Tasks": tree["Tasks"] if spec.dialect == "object" else [tree["Tasks"]]}
    return json.dumps({"EventName": WORKFLOW, "WorkflowExecution": shown}).encode()


def _detail(spec: CallbackRequest, run_id: str, state: str) -> dict[str, Any]:
    """A review's Detail form: one JobsDetail, with JSON numbers."""
    job = {
        "JobId": run_id,
        "State": state,
        "CreationTime": moment(time.time()),
        "Object": spec.input_object,
        "BucketId": spec.bucket,
        "Region": spec.region,
        "Label": "Normal",
        "Result": 0,
        "PornInfo": {"HitFlag": 0, "Count": 0},
        "ForbidState": 0,
        "CosHeaders": {},
        "DataId": spec.user_data,
    }
    return {"EventName": spec.tag, "JobsDetail": job}


def _simple(spec: CallbackRequest, run_id: str) -> dict[str, Any]:
    """A review's Simple form; the console's test message has it too."""
    probe = spec.tag == PROBE
    data = {
        "event": "ReviewText" if probe else spec.tag,
        "forbidden_status": 0,
        "porn_info": {"hit_flag": 0, "label": "", "count": 0},
        "result": 0,
        "trace_id": "test_trace_id" if probe else run_id,
        "url": "test_url" if probe else spec.input_object,
    }
    return {
        "code": 0,
        "data": data,
        "message": "Test request when setting callback url" if probe else "Success",
    }
