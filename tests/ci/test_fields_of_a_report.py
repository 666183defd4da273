"""Field by field: what CI writes, and what the record says."""

import json
from typing import Any

import pytest

from app.ci.incoming.payload import parse
from app.ci.incoming.times import utc
from app.ci.report import Report
from tests.ci.samples import event, to_json, voice_separate, xml


def report(**detail: Any) -> Report:
    body = {"EventName": "TaskFinish", "JobsDetail": {"JobId": "j1", **detail}}
    return parse(json.dumps(body).encode()).details[0].report


def test_a_finished_job_reads_as_the_contract_says() -> None:
    """The whole normalized job, in its order."""
    assert parse(xml(event(voice_separate()))).details[0].report.to_dict() == {
        "job_id": "j0123456789abcdef0123456789abcdef",
        "tag": "VoiceSeparate",
        "state": "Success",
        "terminal": True,
        "progress": None,
        "code": "Success",
        "message": None,
        "created_at": "2024-03-05T13:59:58Z",
        "started_at": "2024-03-05T14:00:01Z",
        "ended_at": "2024-03-05T14:00:31Z",
        "queue_id": "p0123456789abcdef0123456789abcdef",
        "queue_type": "Speeching",
        "input": {
            "bucket": "songs-1250000000",
            "region": "ap-chongqing",
            "object": "in/tune.mp3",
            "url": None,
        },
        "template": {"id": "t0123456789abcdef0123456789abcdef", "name": "split"},
        "outputs": [
            {
                "role": "vocals",
                "bucket": "songs-1250000000",
                "region": "ap-chongqing",
                "object": "out/voice.mp3",
                "md5": "0000000000000000000000000000000a",
                "size": None,
                "etag": None,
                "url": None,
            },
            {
                "role": "background",
                "bucket": "songs-1250000000",
                "region": "ap-chongqing",
                "object": "out/rest.mp3",
                "md5": "0000000000000000000000000000000b",
                "size": None,
                "etag": None,
                "url": None,
            },
        ],
        "outputs_ok": None,
        "user_data": "order-42",
        "job_level": 1,
        "workflow": None,
        "media": {
            "format": "mp3",
            "duration_s": None,
            "size": 1024,
            "bitrate": None,
            "width": None,
            "height": None,
            "fps": None,
            "video_codec": None,
            "audio_codec": None,
        },
        "result": None,
    }


def test_an_id_alone_is_a_job() -> None:
    """Everything else may be missing, and is null."""
    found = report().to_dict()
    assert {key for key, value in found.items() if value not in (None, [], False)} == {"job_id", "tag"}
    assert report().tag == "TaskFinish"


TIMES = [
    ("2022-07-01T10:12:26+0800", "2022-07-01T02:12:26Z"),
    ("2022-07-01T10:12:26+08:00", "2022-07-01T02:12:26Z"),
    ("2022-08-09 14:54:17+0800", "2022-08-09T06:54:17Z"),
    ("2022-08-09 14:54:17 +08:00", "2022-08-09T06:54:17Z"),
    ("2022-07-01T10:12:26Z", "2022-07-01T10:12:26Z"),
    ("2022-07-01t10:12:26z", "2022-07-01T10:12:26Z"),
    ("2022-07-01T10:12:26-03:30", "2022-07-01T13:42:26Z"),
    ("2022-07-01T10:12:26", "2022-07-01T02:12:26Z"),  # Beijing's clock, where no offset is given
    ("2022-07-01T10:12:26.500+0800", "2022-07-01T02:12:26.5Z"),
    ("2022-07-01T10:12:26.000+0800", "2022-07-01T02:12:26Z"),
    ("2022-07-01T10:12:26.123456789123Z", "2022-07-01T10:12:26.123456789Z"),
    (" 2022-07-01T10:12:26+0800\n", "2022-07-01T02:12:26Z"),
    ("2023-01-01T00:00:00+0800", "2022-12-31T16:00:00Z"),
    ("1970-01-01T08:00:01+0800", "1970-01-01T00:00:01Z"),
]
NO_TIMES: list[Any] = [
    *(
        "-",
        "",
        " ",
        "soon",
        "2022-07-01",
        "2022-02-30T00:00:00+0800",
        "2022-07-01T25:00:00Z",
        "0001-01-01T00:00:00+0800",
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "1970-01-01T08:00:00+0800",
        "1969-12-31T23:59:59Z",
        "0800-01-01T08:00:00+0800",
    ),
    *(
        "2022-07-01T10:12:26+2500",
        "2022-07-01T10:12:26+08",
        "20220701T101226Z",
        "2022-W26-5T10:12:26Z",
        "-" * 9,
    ),
    *(
        "9999-12-31T23:59:59-0800",
        "\uff12022-07-01T10:12:26Z",
        1656641546,
        True,
        None,
        [],
        {},
        ["a", "b"],
        "0" * 10**6,
        "2024-03-05T14:00:31." + "1" * 10**6 + "Z",
    ),
]


@pytest.mark.parametrize(("given", "expected"), TIMES)
def test_every_way_to_write_a_time_is_the_same_time(given: str, expected: str) -> None:
    """RFC 3339 in UTC; a fraction only if there is one."""
    assert utc(given) == expected


@pytest.mark.parametrize("given", NO_TIMES, ids=lambda given: repr(given)[:30])
def test_an_invalid_time_is_null(given: Any) -> None:
    """Not yet, never, or nonsense: none of them raises."""
    assert utc(given) is None


def test_the_tag_is_the_jobs_own() -> None:
    """JobsDetail's Tag, else its Operation's, else that of its nodes, else the event; a Tag elsewhere is part of a
    result."""
    assert report(Tag="A", Operation={"Tag": "B"}).tag == "A"
    assert report(Operation={"Tag": "B", "VideoTagResult": {"Tag": "C"}}).tag == "B"
    assert report(Operation={"VideoTagResult": {"Tag": "C"}}, Input={"Tag": "D"}).tag == "VideoTag"
    assert report(Operation={"OddResult": {"Tag": "C"}}, Input={"Tag": "D"}).tag == "TaskFinish"
    assert parse(b'{"JobsDetail": {"JobId": "j1"}}').details[0].report.tag is None


def test_words_we_do_not_know_are_kept() -> None:
    """An unknown state or tag breaks nothing; it is just not terminal."""
    found = report(State="Paused by the moon", Tag="SoundHound2")
    assert (found.state, found.terminal, found.tag) == ("Paused by the moon", False, "SoundHound2")


@pytest.mark.parametrize("state", ["Success", "Failed", "Cancel"])
def test_three_states_are_terminal(state: str) -> None:
    """CI's own words for an end."""
    assert report(State=state).terminal


NUMBERS = [
    ("3", 3),
    (3, 3),
    ("0", 0),
    (0, 0),
    ("-1", -1),
    ("007", 7),
    (" 5 ", 5),
    ([5], 5),
    (100.0, 100),
    ("100.0", 100),
    (-1.0, -1),
    ("999999999999999", 10**15 - 1),
]
NO_NUMBERS = [
    "-",
    "",
    None,
    "3.5",
    3.5,
    "three",
    True,
    "1e3",
    [1, 2],
    {},
    {"a": 1},
    "\u0663",
    "9" * 16,
    "+1",
    "1_0",
]


@pytest.mark.parametrize(("given", "expected"), NUMBERS)
def test_numbers_come_as_numbers_or_as_text(given: Any, expected: int) -> None:
    """JobLevel and Progress are integers."""
    found = report(Progress=given, Operation={"JobLevel": given})
    assert (found.progress, found.job_level) == (expected, expected)


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_an_invalid_integer_is_null(given: Any) -> None:
    """Whatever else stands there."""
    found = report(Progress=given, Operation={"JobLevel": given})
    assert (found.progress, found.job_level) == (None, None)


def test_job_level_and_user_data_are_the_operations_first() -> None:
    """Some documents write them beside the Operation."""
    assert report(JobLevel="2", UserData="outer").job_level == 2
    assert report(JobLevel="2", UserData="outer").user_data == "outer"
    both = report(JobLevel="2", UserData="outer", Operation={"JobLevel": 0, "UserData": "inner"})
    assert (both.job_level, both.user_data) == (0, "inner")


def test_user_data_is_kept_character_by_character() -> None:
    """It is the user's: blanks around it may mean something to them, a number is what they wrote."""
    assert report(Operation={"UserData": " a  b "}).user_data == " a  b "
    assert report(Operation={"UserData": 0}).user_data == "0"
    assert report(Operation={"UserData": True}).user_data == "true"
    assert (
        parse(xml(event(voice_separate(Operation={"UserData": " a  b "})))).details[0].report.user_data
        == " a  b "
    )


def test_code_and_message_are_text() -> None:
    """Opaque words; empty is null."""
    assert (report(Code=0, Message="").code, report(Code=0, Message="").message) == ("0", None)
    assert report(Code="Failed", Message="no such file").message == "no such file"


def test_parts_without_a_value_are_null() -> None:
    """An Input with only empty nodes is null; Tts jobs have none at all."""
    found = report(
        Input={"Object": "", "BucketId": "-"}, Workflow={"RunId": ""}, Operation={"TemplateId": None}
    )
    assert (found.input, found.workflow, found.template) == (None, None, None)


def test_parts_may_be_incomplete() -> None:
    """DocProcess and Translation give an Object without bucket and region; an Input may be a Url."""
    assert report(Input={"Object": "a.pdf", "Lang": "en"}).to_dict()["input"] == {
        "bucket": None,
        "region": None,
        "object": "a.pdf",
        "url": None,
    }
    assert report(Input={"Url": "https://example.com/a"}).to_dict()["input"]["url"] == "https://example.com/a"
    assert report(Input={"Object": "/a/b"}).to_dict()["input"]["object"] == "a/b"
    assert report(Operation={"TemplateId": ["t1", "t2"]}).to_dict()["template"] == {
        "id": "t1",
        "name": None,
    }
    run = {"RunId": "i1", "WorkflowId": "w1", "WorkflowName": "nightly", "Name": "Snapshot_1"}
    assert report(Workflow=run).to_dict()["workflow"] == {
        "run_id": "i1",
        "id": "w1",
        "name": "nightly",
        "node": "Snapshot_1",
    }


@pytest.mark.parametrize(
    "odd", ["text", 7, True, None, [], ["a", "b"], [[]], [{}, {}], {"a": {"b": "c"}}, [[["x"]]]]
)
@pytest.mark.parametrize(
    "field",
    [
        *("Tag", "State", "Code", "Message", "Progress", "CreationTime", "StartTime", "EndTime", "QueueId"),
        *("QueueType", "Input", "Operation", "Workflow", "JobLevel", "UserData"),
    ],
)
def test_another_kind_of_value_than_expected_never_breaks_anything(field: str, odd: Any) -> None:
    """It reads as absent; raw has it."""
    body = {"JobsDetail": {"JobId": "j1", field: odd}}
    detail = parse(json.dumps(body).encode()).details[0]
    assert detail.raw == body["JobsDetail"]


@pytest.mark.parametrize(
    "odd", ["text", 7, [], ["a", "b"], [[]], [{}, {}], {"a": {"b": "c"}}, [None, "", "-"]]
)
@pytest.mark.parametrize(
    "field", ["MediaResult", "Output", "OutputFile", "ObjectName", "ObjectPrefix", "Md5Info", "TemplateId"]
)
def test_nor_does_such_a_value_inside_the_operation(field: str, odd: Any) -> None:
    file = {"ObjectName": "a", field: odd} if field.startswith(("Object", "Md5")) else {"ObjectName": "a"}
    operation = {"MediaResult": {"OutputFile": odd if field == "OutputFile" else file}, field: odd}
    assert report(Tag="VoiceSeparate", Operation=operation).job_id == "j1"


def test_a_list_of_one_is_that_one() -> None:
    """XML cannot tell the two apart, and CI's JSON does not agree with itself. Two are ambiguous: absent."""
    assert (
        report(State=["Success"], Input=[{"Object": "a"}]).to_dict()
        == report(State="Success", Input={"Object": "a"}).to_dict()
    )
    assert report(State=["Success", "Failed"]).state is None


def test_an_xml_leaf_with_attributes_or_a_prefix_is_still_a_leaf() -> None:
    """Namespaces are tolerated: names are matched without their prefix, and nothing of it is lost."""
    body = (
        b'<ci:Response xmlns:ci="urn:x"><ci:JobsDetail><ci:JobId kind="job">j1</ci:JobId>'
        b'<ci:State>Success</ci:State><Tag a="1"/></ci:JobsDetail></ci:Response>'
    )
    detail = parse(body).details[0]
    assert (detail.report.job_id, detail.report.state, detail.report.tag) == ("j1", "Success", None)
    assert detail.raw == {
        "#prefix": "ci",
        "JobId": {"@kind": "job", "#prefix": "ci", "#text": "j1"},
        "State": {"#prefix": "ci", "#text": "Success"},
        "Tag": {"@a": "1"},
    }


@pytest.mark.parametrize("render", [xml, to_json])
def test_numbers_that_would_not_survive_are_kept_as_text(render: Any) -> None:
    """Long integers, long fractions and trailing zeros come out as they came in."""
    long = {"Size": "12345678901234567890", "Bitrate": "128.147000", "Big": "1" * 10_000}
    assert parse(render(event({"JobId": "j1", **long}))).details[0].raw == {"JobId": "j1", **long}
    bare = (
        json.dumps({"JobsDetail": {"JobId": "j1"}})[:-2]
        + "".join(f',"{k}":{v}' for k, v in long.items())
        + "}}"
    )
    assert parse(bare.encode()).details[0].raw == {"JobId": "j1", **long}
