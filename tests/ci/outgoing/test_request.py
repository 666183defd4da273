"""The body of `POST /v1/jobs`: which values are accepted, and how others are reported."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from app.ci.outgoing.request import Defaults, SubmitRequest, load_request
from app.ci.outgoing.rules.broken import BadRequest
from app.ci.outgoing.rules.rules import examine

DEFAULTS = Defaults(bucket="demo-1250000000", region="ap-chongqing")


def wrong(data: object) -> dict[str, str]:
    with pytest.raises(BadRequest) as caught:
        load_request(data)
    return {broken.field: broken.word for broken in caught.value.broken}


def test_an_empty_object_is_a_request_with_every_default() -> None:
    """Nothing is required by type: what CI requires is named by the rules, with everything else that is wrong."""
    request = load_request({})
    assert request.tag == "VoiceSeparate"
    assert request.callback_kind == "own"
    assert request.labels == {}


def test_numbers_are_taken_where_ci_takes_text() -> None:
    """`44100`, `44100.0` and `"44100"` are one request."""
    for rate in (44100, 44100.0, "44100"):
        config = {"samplerate": rate, "bitrate": 500, "channels": 2}
        request = load_request({"voice_separate": {"audio_config": config}, "job_level": 1, "user_data": 42})
        assert request.voice_separate and request.voice_separate.audio_config
        assert request.voice_separate.audio_config.samplerate == "44100"
        assert (request.job_level, request.user_data) == ("1", "42")


@pytest.mark.parametrize(
    ("data", "field", "word"),
    [
        ({"colour": "red"}, "colour", "unknown_field"),
        ({"input": {"key": "a"}}, "input.key", "unknown_field"),
        ({"output": {"au_Object": "a"}}, "output.au_Object", "unknown_field"),
        ({"tag": None}, "tag", "type"),
        ({"tag": 3}, "tag", "type"),
        ({"input": "a.mp3"}, "input", "type"),
        ({"job_level": True}, "job_level", "type"),
        ({"job_level": 1.5}, "job_level", "type"),
        ({"job_level": [1]}, "job_level", "type"),
        ({"labels": {"a": {}}}, "labels.a", "type"),
        ({"operation": []}, "operation", "type"),
        ({"operations": {}}, "operations", "type"),
        ({"operations": [{"output": 1}]}, "operations.0.output", "type"),
        ([], "", "type"),
        ("text", "", "type"),
        (None, "", "type"),
    ],
)
def test_a_fault_of_type_is_reported_like_a_broken_rule(data: object, field: str, word: str) -> None:
    """One shape for every fault: a path, a sentence, a word."""
    assert wrong(data) == {field: word}


def test_every_fault_of_type_is_reported_at_once() -> None:
    """A client learns all five errors from one response."""
    data = {"tag": 1, "input": {"object": 2}, "output": {"object": []}, "x": 1}
    assert wrong(data) == {
        "tag": "type",
        "input.object": "type",
        "output.object": "type",
        "x": "unknown_field",
    }


def test_faults_of_type_and_broken_rules_are_reported_together() -> None:
    """What could be read is checked even where another part could not be."""
    data = {
        "input": {"object": 3},
        "job_level": 9,
        "voice_separate": {"audio_mode": "Loud", "audio_config": {}},
    }
    request, broken = examine(data, DEFAULTS)
    assert request is None
    assert {b.field: b.word for b in broken} == {
        "input.object": "type",
        "job_level": "job_level",
        "voice_separate.audio_mode": "audio_mode",
        "output": "output_empty",
    }


def test_a_fault_never_quotes_what_was_sent() -> None:
    """A request may hold secrets in the wrong place, and errors are logged."""
    with pytest.raises(BadRequest) as caught:
        load_request({"input": {"object": ["s3cr3t-value"]}, "job_level": ["s3cr3t-value"]})
    assert "s3cr3t" not in str(caught.value)


def test_a_raw_operation_is_bounded_in_depth() -> None:
    """A hostile depth is refused in words, not with a stack overflow."""
    deep: Any = {}
    for _ in range(900):
        deep = {"A": deep}
    assert wrong({"operation": deep}) == {"operation": "type"}
    assert wrong({"operations": [{"Tag": "T", "A": deep}]}) == {"operations.0.operation": "type"}
    assert wrong({"operation": {"A": json.loads("[" * 900 + "]" * 900)}}) == {"operation": "type"}


def test_a_request_cannot_be_changed() -> None:
    """What was checked is what is sent."""
    with pytest.raises(ValidationError):
        setattr(load_request({}), "tag", "Transcode")  # noqa: B010 - a plain assignment does not pass mypy


def test_an_operation_may_be_cis_own_node() -> None:
    """An entry with CI's capitalised names is CI's Operation node; one with ours is typed."""
    request = load_request({"operations": [{"Tag": "Transcode", "TemplateId": "t1"}, {"template_id": "t2"}]})
    assert request.operations is not None
    raw, typed = request.operations
    assert (raw.tag, raw.operation) == ("Transcode", {"TemplateId": "t1"})
    assert (request.tag_of(typed), typed.template_id) == ("VoiceSeparate", "t2")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "own"),
        ({"callback": ""}, "own"),
        ({"callback": None, "callback_type": "Url"}, "own"),
        ({"callback": "no"}, "no"),
        ({"callback": "NO"}, "no"),
        ({"callback": "https://example.com/x"}, "foreign"),
        ({"callback_type": "TDMQ"}, "queue"),
        ({"callback_type": "tdmq", "callback": "https://example.com/x"}, "queue"),
    ],
)
def test_a_request_says_where_its_news_goes(fields: dict[str, Any], kind: str) -> None:
    """Only with `own` are callbacks sent to this service; for all others CI has to be asked."""
    assert load_request(fields).callback_kind == kind


def test_the_json_schema_describes_what_is_accepted() -> None:
    """The OpenAPI document is made of it: scalars are text or number, and unknown fields are refused."""
    schema = SubmitRequest.model_json_schema()
    rate = schema["$defs"]["AudioConfig"]["properties"]["samplerate"]["anyOf"]
    assert {each["type"] for each in rate} >= {"string", "integer"}
    assert schema["additionalProperties"] is False
