"""Which body is which: the envelopes of jobs, workflow runs, reviews and the console's probe."""

import gc
import json
from typing import Any

import pytest
from msgspec.structs import asdict

from app.ci.incoming.payload import Callback, Refused, parse
from tests.ci.samples import Dialect, event, to_json, voice_separate, workflow_run, xml


def refusal(body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        parse(body)
    return caught.value


def ids(callback: Callback) -> list[str]:
    return [detail.report.job_id for detail in callback.details]


JOB = voice_separate()

JOB_BODIES = {
    "xml": xml(event(JOB)),
    "xml, declared": xml(
        event(JOB), Dialect(prolog=b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- hello -->')
    ),
    "xml, without event": xml({"JobsDetail": JOB}),
    "xml, with unknown ids": xml({"JobsDetail": JOB, "NonExistJobIds": "j9"}),
    "xml, bare": xml(JOB, root="JobsDetail"),
    "json, object": to_json(event(JOB)),
    "json, array": to_json(event(JOB), Dialect(arrays=True)),
    "json, wrapped": to_json(event(JOB), Dialect(wrapper=True)),
    "json, wrapped array": to_json(event(JOB), Dialect(wrapper=True, arrays=True)),
    "json, after a byte order mark": b"\xef\xbb\xbf" + to_json(event(JOB)),
    "xml, after a byte order mark": b"\xef\xbb\xbf"
    + xml(event(JOB), Dialect(prolog=b'<?xml version="1.0"?>')),
    "xml, after blanks": b" \r\n\t" + xml(event(JOB), Dialect(prolog=b'<?xml version="1.0"?>')),
    "json, after blanks and a mark": b"\n \xef\xbb\xbf\n" + to_json(event(JOB)),
}


@pytest.mark.parametrize("body", JOB_BODIES.values(), ids=JOB_BODIES.keys())
def test_every_envelope_holds_the_same_job(body: bytes) -> None:
    """With or without Response, EventName, array: one job comes out."""
    callback = parse(body)
    assert callback.kind == "jobs"
    assert ids(callback) == [JOB["JobId"]]
    assert callback.details[0].report.tag == "VoiceSeparate"
    assert callback.format == ("xml" if b"</" in body else "json")


@pytest.mark.parametrize("render", [xml, to_json])
def test_several_jobs_in_one_body_keep_their_order(render: Any) -> None:
    """Repeated nodes and arrays give one detail each."""
    several = [voice_separate(JobId=f"j{number}") for number in range(3)]
    assert ids(parse(render(event(several)))) == ["j0", "j1", "j2"]


def test_a_repeated_name_in_json_gives_one_detail_each() -> None:
    """Unusual but valid JSON is read as XML's repeated nodes are: nothing is dropped."""
    assert ids(parse(b'{"JobsDetail": {"JobId": "a"}, "JobsDetail": [{"JobId": "b"}, {"JobId": "c"}]}')) == [
        "a",
        "b",
        "c",
    ]


@pytest.mark.parametrize("render", [xml, to_json])
@pytest.mark.parametrize("name", ["WorkflowFinish", None])
def test_a_workflow_run_is_known_by_its_run_id(render: Any, name: str | None) -> None:
    """WorkflowFinish, also in its older form without EventName: id, state, times, input and workflow."""
    callback = parse(
        render({"EventName": name, "WorkflowExecution": workflow_run(EndTime="2024-03-05 22:01:00+0800")})
    )
    assert callback.kind == "workflow"
    report = callback.details[0].report
    assert (report.job_id, report.tag, report.state, report.terminal) == (
        "i0123456789abcdef0123456789abcdef",
        "WorkflowFinish",
        "Success",
        True,
    )
    assert (report.created_at, report.ended_at) == ("2024-03-05T14:00:01Z", "2024-03-05T14:01:00Z")
    assert report.input is not None and report.workflow is not None
    assert asdict(report.input) == {
        "bucket": "films-1250000000",
        "region": None,
        "object": "in/film.mp4",
        "url": None,
    }
    assert asdict(report.workflow) == {
        "run_id": "i0123456789abcdef0123456789abcdef",
        "id": "w0123456789abcdef0123456789abcdef",
        "name": "nightly",
        "node": None,
    }
    assert [task["JobId"] for task in callback.details[0].raw["Tasks"]] == ["j1", "j2"]


def test_a_detailed_review_has_its_input_at_the_top() -> None:
    """ReviewX with JobsDetail: the object that was looked at is the record's input."""
    body = {
        "EventName": "ReviewImage",
        "JobsDetail": {
            "JobId": "si0001",
            "State": "Success",
            "CreationTime": "2024-03-05T22:00:01+08:00",
            "Object": "/pictures/a.jpg",
            "Url": "https://example.com/a.jpg",
            "BucketId": "pics-1250000000",
            "Region": "ap-chongqing",
            "Result": 0,
            "PornInfo": {"HitFlag": 0, "Score": 3},
            "CosHeaders": {"x-cos-meta-id": "7"},
        },
    }
    callback = parse(json.dumps(body).encode())
    report = callback.details[0].report
    assert (callback.kind, report.job_id, report.tag, report.state) == (
        "review",
        "si0001",
        "ReviewImage",
        "Success",
    )
    assert report.created_at == "2024-03-05T14:00:01Z"
    assert report.input is not None
    assert asdict(report.input) == {
        "bucket": "pics-1250000000",
        "region": "ap-chongqing",
        "object": "pictures/a.jpg",
        "url": "https://example.com/a.jpg",
    }
    assert callback.details[0].raw == body["JobsDetail"]


def test_a_job_has_no_input_at_the_top() -> None:
    """Only reviews write BucketId and Object there; elsewhere they are someone else's fields."""
    assert (
        parse(b'{"JobsDetail": {"JobId": "j1", "Object": "a", "BucketId": "b"}}').details[0].report.input
        is None
    )


def test_a_simple_review_is_known_by_its_trace_id() -> None:
    """{code, data, message}: no state, the event as tag, the whole body as raw."""
    body = {
        "code": 0,
        "data": {
            "event": "ReviewText",
            "trace_id": "st0001",
            "url": "https://example.com/a.txt",
            "result": 0,
        },
        "message": "success",
    }
    callback = parse(json.dumps(body).encode())
    report = callback.details[0].report
    assert (callback.kind, report.job_id, report.tag, report.state) == (
        "review",
        "st0001",
        "ReviewText",
        None,
    )
    assert (report.code, report.message, report.terminal) == ("0", "success", False)
    assert report.input is not None
    assert report.input.url == "https://example.com/a.txt"
    assert callback.details[0].raw == body


def test_a_simple_review_may_name_its_event_outside() -> None:
    """As every other callback may."""
    callback = parse(b'{"EventName":"ReviewText","code":0,"data":{"trace_id":"t1"},"message":"Success"}')
    assert (callback.kind, callback.details[0].report.tag) == ("review", "ReviewText")


PROBES = {
    "as published": b'{"code":0,"message":"Test request when setting callback url"}',
    "with a review": b'{"code":0,"data":{"event":"ReviewText","trace_id":"t"},'
    b'"message":"Test request when setting callback url"}',
    "with a job": b'{"JobsDetail":{"JobId":"j1"},"message":"TEST REQUEST when setting callback URL, again"}',
    "in XML": b"<Response><message>Test request when setting callback url</message></Response>",
    "with a broken id": b'{"Message":"test request when setting callback url","data":{"trace_id":"a/b"}}',
}


@pytest.mark.parametrize("body", PROBES.values(), ids=PROBES.keys())
def test_the_consoles_test_message_is_a_probe_whatever_else_it_holds(body: bytes) -> None:
    """A probe changes no job: it has no details."""
    callback = parse(body)
    assert (callback.kind, callback.details) == ("probe", ())


def test_a_job_whose_own_message_says_so_is_no_probe() -> None:
    """Only the message at the top makes a probe."""
    body = to_json(event(voice_separate(Message="Test request when setting callback url")))
    assert parse(body).kind == "jobs"


NO_CALLBACKS = {
    "other names": (b'{"hello": 1, "world": 2}', ["hello", "world"]),
    "other root": (b"<html><body/></html>", ["html"]),
    "empty response": (b"<Response/>", ["Response"]),
    "only unknown ids": (b"<Response><NonExistJobIds>j1</NonExistJobIds></Response>", ["NonExistJobIds"]),
    "an event alone": (
        b"<Response><EventName>TaskFinish</EventName><JobsDetail/></Response>",
        ["JobsDetail"],
    ),
    "no jobs": (b'{"JobsDetail": []}', ["JobsDetail"]),
    "a null job": (b'{"JobsDetail": null}', ["JobsDetail"]),
    "a job that is text": (b'{"JobsDetail": "j1"}', ["JobsDetail"]),
    "a job among other things": (b'{"JobsDetail": [{"JobId": "j1"}, 7]}', ["JobsDetail"]),
    "an array": (b'[{"JobId": "j1"}]', ["array"]),
    "an error of CI's": (b"<Error><Code>SlowDown</Code></Error>", ["Error"]),
    "jobs and a run": (
        b'{"JobsDetail": {"JobId": "a"}, "WorkflowExecution": {"RunId": "b"}}',
        ["JobsDetail", "WorkflowExecution"],
    ),
    "jobs in and out": (
        b'{"JobsDetail": {"JobId": "a"}, "Response": {"JobsDetail": {"JobId": "b"}}}',
        ["Response"],
    ),
    "data without a review": (b'{"code": 0, "data": {"x": 1}}', ["code", "data"]),
    "data that is text": (b'{"code": 0, "data": "trace_id"}', ["code", "data"]),
}


@pytest.mark.parametrize(("body", "found"), NO_CALLBACKS.values(), ids=NO_CALLBACKS.keys())
def test_the_refusal_of_other_bodies_names_what_was_found_and_expected(body: bytes, found: list[str]) -> None:
    """400 not_a_callback, in words that help the person who set the wrong URL."""
    refused = refusal(body)
    assert (refused.reason, refused.status) == ("not_a_callback", 400)
    assert all(name in str(refused) for name in found)
    assert "expected" in str(refused)


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t ", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_an_empty_body_is_refused(body: bytes) -> None:
    """400 empty_body, also for white space alone."""
    refused = refusal(body)
    assert (refused.reason, refused.status) == ("empty_body", 400)


def test_a_refusal_quotes_little() -> None:
    """At most 100 characters of a stranger's input, and none that could do harm in a log."""
    for body in (
        b"\x1b[31m" * 50,
        b'{"\n%s": 1}' % (b"x" * 500),
        b"<" + b"\xe4" * 500,
        b'{"%s": 1}' % (b"\x7f" * 500),
    ):
        sentence = str(refusal(body))
        assert len(sentence) < 320
        assert sentence.isprintable() and sentence.isascii()


JOB_IDS = {
    "JobId": ({"JobId": "j1", "RunId": "r1", "trace_id": "t1"}, "j1"),
    "RunId": ({"RunId": "r1", "trace_id": "t1"}, "r1"),
    "RunId of the workflow": ({"JobId": "", "Workflow": {"RunId": "r1"}}, "r1"),
    "dash is absent": ({"JobId": "-", "RunId": "r1"}, "r1"),
    "trace_id": ({"trace_id": "t1"}, "t1"),
    "a number": ({"JobId": 17}, "17"),
    "one character": ({"JobId": "~"}, "~"),
    "128 characters": ({"JobId": "x" * 128}, "x" * 128),
    "odd but harmless": ({"JobId": "!\"$&'()*+,-.:;<=>@[]^_`{|}~"}, "!\"$&'()*+,-.:;<=>@[]^_`{|}~"),
    "three dots": ({"JobId": "..."}, "..."),
}


@pytest.mark.parametrize(("detail", "job_id"), JOB_IDS.values(), ids=JOB_IDS.keys())
def test_the_job_id_is_the_first_that_is_given(detail: dict[str, Any], job_id: str) -> None:
    """JobId, else the run's, else the trace's."""
    assert ids(parse(json.dumps({"JobsDetail": detail}).encode())) == [job_id]


BAD_JOB_IDS: list[Any] = [
    *(
        "a b",
        " a",
        "a ",
        "a/b",
        "a\\b",
        "a%20",
        "a?b",
        "a#b",
        ".",
        "..",
        "x" * 129,
        "ä",
        "a\n",
        "a\0",
        "\x7f",
        "\ud800",
    ),
    *([], {}, ["a"], ["a", "b"], {"a": "b"}, {"#text": ""}, "", "-", None, " "),
]


@pytest.mark.parametrize("job_id", BAD_JOB_IDS, ids=repr)
def test_a_job_id_that_could_mean_something_else_is_refused(job_id: Any) -> None:
    """Untrusted text in paths, keys and logs: printable ASCII without blanks and separators, given once."""
    for body in ({"JobsDetail": {"JobId": job_id}}, {"JobsDetail": [{"JobId": "good"}, {"JobId": job_id}]}):
        refused = refusal(json.dumps(body).encode())
        assert (refused.reason, refused.status) == ("bad_job_id", 400)


def test_a_job_id_given_twice_is_refused_in_both_formats() -> None:
    """A proxy in front may have read the other one."""
    assert refusal(b'{"JobsDetail": {"JobId": "a", "JobId": "b"}}').reason == "bad_job_id"
    assert refusal(b'{"JobsDetail": {"JobId": "a", "JobId": "a"}}').reason == "bad_job_id"
    twice = b"<Response><JobsDetail><JobId>a</JobId><JobId>b</JobId></JobsDetail></Response>"
    assert refusal(twice).reason == "bad_job_id"


@pytest.mark.parametrize(
    "body",
    [
        b"<Response><WorkflowExecution><RunId/></WorkflowExecution></Response>",
        b'{"data": {"event": "ReviewText"}}',
    ],
)
def test_a_run_or_review_without_an_id_is_refused(body: bytes) -> None:
    """There is no id under which it could be stored."""
    assert refusal(body).reason == "bad_job_id"


def test_reading_leaves_nothing_to_the_cycle_collector() -> None:
    """A parser and its handlers point at each other: a body's nodes would stay until a collection finds them."""
    body = xml(event(voice_separate()))
    parse(body)
    gc.collect()
    gc.disable()
    try:
        found = []
        for _ in range(3):  # another thread of this process may leave something meanwhile
            parse(body)
            found.append(gc.collect())
        assert 0 in found
    finally:
        gc.enable()
