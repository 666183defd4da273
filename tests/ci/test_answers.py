"""CI's answers to our own calls: jobs described and listed, and errors."""

import json
from typing import Any

import pytest
from msgspec import to_builtins

from app.ci.incoming import reports
from app.ci.incoming.payload import Refused, parse, parse_answer, parse_error
from app.ci.report import Report
from tests.ci.samples import Dialect, event, to_json, voice_separate, workflow_run, xml


def test_an_answer_lists_jobs_unknown_ids_and_the_next_page() -> None:
    """Describe and list, in one shape."""
    jobs = [
        voice_separate(JobId="j1"),
        voice_separate(JobId="j2", State="Running", EndTime="-", Progress="40"),
    ]
    answer = parse_answer(xml({"JobsDetail": jobs, "NonExistJobIds": ["j3", "j4,j5"], "NextToken": "42"}))
    assert [detail.report.job_id for detail in answer.details] == ["j1", "j2"]
    running = answer.details[1].report
    assert (running.state, running.progress, running.ended_at) == ("Running", 40, None)
    assert (answer.non_existing, answer.next_token) == (("j3", "j4", "j5"), "42")


def test_an_answer_may_be_empty() -> None:
    """No jobs match; no further page."""
    for body in (b"<Response/>", b"<Response><JobsDetail/><NonExistJobIds/><NextToken/></Response>", b"{}"):
        answer = parse_answer(body)
        assert (answer.details, answer.non_existing, answer.next_token) == ((), (), None)


def test_a_poll_gives_the_same_record_as_a_callback() -> None:
    """Otherwise each poll would be accepted as a change."""
    described = parse_answer(xml({"JobsDetail": voice_separate()})).details
    assert described == parse(xml(event(voice_separate()))).details
    in_json = parse_answer(to_json({"JobsDetail": voice_separate()}, Dialect(wrapper=True))).details
    assert in_json[0].report == described[0].report


def test_a_submitted_operation_has_its_tag_inside() -> None:
    """A multi-operation submit answers without JobsDetail/Tag."""
    detail = {"JobId": "j1", "State": "Submitted", "StartTime": "-", "Operation": {"Tag": "Animation"}}
    assert parse_answer(xml({"JobsDetail": detail})).details[0].report.tag == "Animation"


def test_workflow_runs_are_answers_too() -> None:
    """One run described, or a list of them."""
    one = parse_answer(xml({"WorkflowExecution": workflow_run()})).details[0].report
    assert (one.job_id, one.tag) == ("i0123456789abcdef0123456789abcdef", "WorkflowFinish")
    listed = parse_answer(
        xml({"WorkflowExecutionList": [workflow_run(RunId="i1"), workflow_run(RunId="i2")]})
    )
    assert [detail.report.job_id for detail in listed.details] == ["i1", "i2"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_body"),
        (b"<html><body>Bad Gateway</body></html>", "not_an_answer"),
        (b"<Error><Code>SlowDown</Code></Error>", "not_an_answer"),
        (b'{"Error": {"Code": "SlowDown"}}', "not_an_answer"),
        (b"Bad Gateway", "unsupported_media_type"),
        (b"<Response><JobsDetail><State>Running</State></JobsDetail></Response>", "bad_job_id"),
    ],
)
def test_an_unreadable_answer_is_not_an_empty_one(body: bytes, reason: str) -> None:
    """An error page with status 200 must not look as if no job existed."""
    with pytest.raises(Refused) as caught:
        parse_answer(body)
    assert caught.value.reason == reason


def test_an_answer_may_be_larger_than_a_callback() -> None:
    """A page of 100 jobs or more is read, since CI itself sent it."""
    jobs = [voice_separate(JobId=f"j{number}") for number in range(500)]
    assert len(parse_answer(xml({"JobsDetail": jobs})).details) == 500


def test_an_error_is_read_with_or_without_all_of_its_fields() -> None:
    """Resource and TraceId are missing in one of CI's editions."""
    error = parse_error(
        b"<?xml version='1.0' encoding='utf-8' ?><Error><Code>SlowDown</Code><Message>Too fast</Message>"
        b"<Resource>b.ci/r</Resource><RequestId>r1</RequestId><TraceId>t1</TraceId></Error>"
    )
    assert to_builtins(error) == {
        "code": "SlowDown",
        "message": "Too fast",
        "resource": "b.ci/r",
        "request_id": "r1",
        "trace_id": "t1",
    }
    assert parse_error(b"<Error><Code>SlowDown</Code></Error>").resource is None
    assert parse_error(b"<Response><Error><Code>SlowDown</Code></Error></Response>").code == "SlowDown"


BESIDE = b'{"Response": {"Error": {}}, "JobsDetail": {}}'
"""Found by the fuzz target: it broke off the reading of an error."""


@pytest.mark.parametrize(
    "body", [b"", b"Bad Gateway", b"<html/>", b"<Error", b"[]", b"<Error/>", b'{"Error": 1}', BESIDE]
)
def test_an_error_that_is_none_of_cis_has_no_fields(body: bytes) -> None:
    """An unreadable error must not raise another one."""
    assert set(to_builtins(parse_error(body)).values()) == {None}


@pytest.mark.parametrize(
    "bad",
    [{"State": "Running"}, {"JobId": "j 2"}, {"JobId": "j" * 129}, "text", 7],
    ids=["no id", "a bad id", "a long id", "a text", "a number"],
)
def test_a_job_that_cannot_be_read_does_not_hide_the_others(bad: object) -> None:
    """The others of the answer are read, and the unreadable one is reported."""
    answer = parse_answer(json.dumps({"JobsDetail": [{"JobId": "j1"}, bad, {"JobId": "j3"}]}).encode())
    assert [detail.report.job_id for detail in answer.details] == ["j1", "j3"]
    (unreadable,) = answer.unreadable
    assert unreadable.why.startswith("Found")
    assert len(unreadable.job_id) <= 128


def test_a_fault_of_ours_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has its traceback, once."""
    right = reports.of_job

    def broken(raw: dict[str, Any], *more: Any) -> Report:
        if raw["JobId"] == "j2":
            raise ZeroDivisionError
        return right(raw, *more)

    monkeypatch.setattr(reports, "of_job", broken)
    answer = parse_answer(json.dumps({"JobsDetail": [{"JobId": f"j{n}"} for n in (1, 2, 3)]}).encode())
    assert [detail.report.job_id for detail in answer.details] == ["j1", "j3"]
    assert [(one.job_id, one.reason) for one in answer.unreadable] == [("j2", "internal")]
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_a_job_that_is_too_large_does_not_hide_the_others() -> None:
    """Each job of an answer has caps of its own."""
    file = {"ObjectPrefix": "p" * 1000, "ObjectName": ["x"] * 70_000}
    large = {"JobId": "j2", "Operation": {"MediaResult": {"OutputFile": file}}}
    answer = parse_answer(json.dumps({"JobsDetail": [{"JobId": "j1"}, large, {"JobId": "j3"}]}).encode())
    assert [detail.report.job_id for detail in answer.details] == ["j1", "j3"]
    assert [one.job_id for one in answer.unreadable] == ["j2"]
