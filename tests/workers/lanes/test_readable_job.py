"""A handler's job reads its raw payload when it is first asked for, and is otherwise equal to a complete job."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from workers.handlers import Event, Job
from workers.outputs import ObjectAccess, readable
from workers.testing import event_from

BODY = b"""{"JobsDetail": {"JobId": "j1", "Tag": "VoiceSeparate", "State": "Success"}}"""
RAW = {"JobId": "j1", "State": "Success", "Message": "as CI wrote it"}
_, STORED = event_from(BODY)
"""One job for all tests, since each new one has another ``updated_at``."""


class Payload:
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self) -> dict[str, Any]:
        self.reads += 1
        return dict(RAW)


def _job(payload: Payload) -> Job:
    return readable(STORED, ObjectAccess(objects=None, link_s=60), payload)  # type: ignore[arg-type]


def test_a_payload_that_is_not_used_is_not_read() -> None:
    payload = Payload()
    job = _job(payload)
    assert (job.job_id, job.state, job.report.job_id) == ("j1", "Success", "j1")
    assert payload.reads == 0


def test_a_payload_is_read_once() -> None:
    payload = Payload()
    job = _job(payload)
    assert (job.raw, job.raw) == (RAW, RAW)
    assert payload.reads == 1


@pytest.mark.parametrize(
    "raw_in",
    [
        pytest.param(lambda job: job.model_dump()["raw"], id="model_dump"),
        pytest.param(lambda job: Job.model_validate_json(job.model_dump_json()).raw, id="model_dump_json"),
        pytest.param(lambda job: dict(job)["raw"], id="iteration"),
        pytest.param(lambda job: job.model_copy(update={"tag": "t"}).raw, id="model_copy"),
        pytest.param(lambda job: copy.copy(job).__dict__["raw"], id="copy"),
        pytest.param(lambda job: copy.deepcopy(job).__dict__["raw"], id="deepcopy"),
        pytest.param(lambda job: dict(job.__repr_args__())["raw"], id="repr"),
        pytest.param(lambda job: RAW if job == _job(Payload()) else None, id="equality"),
        pytest.param(lambda job: getattr(job, "raw", None), id="getattr"),
    ],
)
def test_every_way_to_read_the_whole_job_has_the_payload(raw_in: Callable[[Job], object]) -> None:
    assert raw_in(_job(Payload())) == RAW


def test_an_attribute_that_a_job_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="voice"):
        _ = _job(Payload()).voice  # type: ignore[attr-defined]


def test_a_job_of_event_from_has_the_payload_of_its_body() -> None:
    event, job = event_from(BODY)
    assert isinstance(event, Event)
    assert job.raw is not None
    assert job.raw["JobId"] == "j1"
