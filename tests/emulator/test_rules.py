"""What CI refuses, the emulator refuses; what CI allows, it allows."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from emulator.ci.rules import NEEDS_OPERATION

from .running import Account, refusal
from .test_signature import authorization


def separation(mode: str = "AudioAndBackground", **config: str) -> dict[str, Any]:
    return {"AudioMode": mode, "AudioConfig": config}


RIGHT_AUDIO = [
    separation(),
    separation("IsAudio", Codec="AAC", Samplerate="96000", Channels="8", Bitrate="8"),
    separation("IsBackground", Codec="flac", Samplerate="11025", Channels="6", Bitrate="1000"),
    separation(Codec="mp3", Samplerate="48000", Channels="2"),
    separation(Codec="amr", Samplerate="8000", Channels="1"),
    separation("MusicMode", Codec="wav", Samplerate="1", Bitrate="1", Channels="99"),
    separation("MusicMode", Codec="mp3"),
]
WRONG_AUDIO = [
    ({"AudioConfig": {"Codec": "mp3"}}, "AudioMode"),
    (separation("Karaoke"), "AudioMode"),
    ({"AudioMode": "IsAudio"}, "AudioConfig"),
    (separation(Codec="wav"), "Codec"),
    (separation(Codec="ogg"), "Codec"),
    (separation("MusicMode", Codec="flac"), "Codec"),
    (separation("MusicMode", Codec="amr"), "Codec"),
    (separation(Codec="mp3", Samplerate="8000"), "Samplerate"),
    (separation(Codec="mp3", Samplerate="96000"), "Samplerate"),
    (separation(Codec="aac", Samplerate="8000"), "Samplerate"),
    (separation(Codec="amr", Samplerate="44100"), "Samplerate"),
    (separation(Codec="mp3", Channels="4"), "Channels"),
    (separation(Codec="amr", Channels="2"), "Channels"),
    (separation(Codec="aac", Channels="3"), "Channels"),
    (separation(Bitrate="7"), "Bitrate"),
    (separation(Bitrate="1001"), "Bitrate"),
    (separation(Bitrate="fast"), "Bitrate"),
]


@pytest.mark.parametrize("audio", RIGHT_AUDIO, ids=repr)
def test_legal_audio_is_accepted(account: Account, audio: dict[str, Any]) -> None:
    """Codecs, rates and channels that the table allows together; MusicMode looks at nothing but the codec."""
    output = account.output(BassObject="out/b", DrumObject="out/d")
    assert account.submit(Operation=account.operation(VoiceSeparate=audio, Output=output))


@pytest.mark.parametrize(("audio", "named"), WRONG_AUDIO, ids=repr)
def test_illegal_audio_is_refused_by_name(account: Account, audio: dict[str, Any], named: str) -> None:
    """400 InvalidArgument, and the message names the field."""
    status, code, message = refusal(account.submit, Operation=account.operation(VoiceSeparate=audio))
    assert (status, code) == (400, "InvalidArgument")
    assert named in message


TDMQ = {"MqRegion": "sh", "MqMode": "Queue", "MqName": "jobs"}
RIGHT = [
    {"CallBack": "https://a.example/x", "CallBackFormat": "JSON"},
    {"CallBack": "https://a.example/x", "CallBackFormat": "xml", "CallBackType": "Url"},
    {"CallBackType": "TDMQ", "CallBackMqConfig": TDMQ},
    {"CallBackType": "TDMQ", "CallBackMqConfig": {"MqRegion": "hk", "MqName": "jobs"}},
    {"QueueId": "p2242ab62c7c94486915508540933a2c6"},
]
WRONG = [
    ({"Tag": None}, "InvalidArgument", "Tag"),
    ({"Input": None}, "InvalidArgument", "Input"),
    ({"Input": {"Object": ""}}, "InvalidArgument", "Input.Object"),
    ({"Operation": None}, "InvalidArgument", "Operation"),
    ({"CallBack": "ftp://a.example/x"}, "InvalidArgument", "CallBack"),
    ({"CallBack": "example"}, "InvalidArgument", "CallBack"),
    ({"CallBackFormat": "YAML"}, "InvalidArgument", "CallBackFormat"),
    ({"CallBackType": "Pigeon"}, "InvalidArgument", "CallBackType"),
    ({"CallBackType": "TDMQ"}, "InvalidArgument", "MqName"),
    (
        {"CallBackType": "TDMQ", "CallBackMqConfig": TDMQ | {"MqRegion": "mars"}},
        "InvalidArgument",
        "MqRegion",
    ),
    ({"CallBackType": "TDMQ", "CallBackMqConfig": TDMQ | {"MqMode": "Heap"}}, "InvalidArgument", "MqMode"),
    ({"QueueId": "p" + "0" * 32}, "QueueNotFound", "queue"),
]


@pytest.mark.parametrize("changes", RIGHT, ids=repr)
def test_a_legal_request_is_accepted(account: Account, changes: dict[str, Any]) -> None:
    """Ways to be called back, and a queue of one's own choice."""
    assert account.submit(**{"CallBack": None} | changes)


@pytest.mark.parametrize(("changes", "code", "named"), WRONG, ids=repr)
def test_an_illegal_request_is_refused_by_name(
    account: Account, changes: dict[str, Any], code: str, named: str
) -> None:
    """CI's code, and a message that says what is wrong."""
    status, refused, message = refusal(account.submit, **changes)
    assert (status, refused) == (400, code)
    assert named in message


def test_tags_without_an_input_file_need_no_input(account: Account) -> None:
    """CI's pages for Tts have none; neither has the job, then. Beside a VoiceSeparate there has to be one."""
    output = account.output(AuObject=None)
    speech = {"TtsConfig": {"Input": "hello", "InputType": "Text"}, "Output": output, "UserData": "x"}
    job_id = account.submit(Tag="Tts", Input=None, Operation=speech)
    assert "Input" not in account.job(job_id)
    assert account.wait(job_id, "Success")["Operation"]["MediaResult"]
    both = [{"Tag": "Tts", **speech}, {"Tag": "VoiceSeparate", **account.operation()}]
    assert "Input.Object" in refusal(account.submit, Tag=None, Input=None, Operation=both)[2]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"Output": None}, "Output"),
        ({"Output": {"Region": "ap-chongqing", "Object": "x"}}, "Output.Bucket"),
        ({"Output": {"Bucket": "b-1250000000", "Object": "x"}}, "Output.Region"),
        ({"Output": {"Region": "ap-chongqing", "Bucket": "b-1250000000"}}, "AuObject"),
        ({"VoiceSeparate": None}, "TemplateId"),
        ({"UserData": "long" * 257}, "UserData"),
        ({"UserData": "música"}, "UserData"),
        ({"UserData": "two\nlines"}, "UserData"),
        ({"JobLevel": "3"}, "JobLevel"),
    ],
    ids=repr,
)
def test_an_illegal_operation_is_refused_by_name(
    account: Account, changes: dict[str, Any], named: str
) -> None:
    """Output, settings, user data and level."""
    status, code, message = refusal(account.submit, Operation=account.operation(**changes))
    assert (status, code) == (400, "InvalidArgument")
    assert named in message


@pytest.mark.parametrize("tag", ["MediaInfo", "ImageInspect", "Nonsense"])
@pytest.mark.parametrize("operation", [None, "", {}], ids=["absent", "empty", "no children"])
def test_some_tags_need_no_operation(account: Account, tag: str, operation: Any) -> None:
    """The page of MediaInfo says so; of other tags without a page nothing is known. It is one job."""
    (made,) = account.submit_all(Tag=tag, Operation=operation)
    job = account.wait(made["JobId"], "Success")
    assert (job["Tag"], job["Input"]["Object"]) == (tag, "input/song.mp4")


@pytest.mark.parametrize("tag", sorted(NEEDS_OPERATION))
@pytest.mark.parametrize("operation", [None, ""], ids=["absent", "empty"])
def test_tags_that_write_a_file_need_an_operation(account: Account, tag: str, operation: Any) -> None:
    """400 InvalidArgument that names it."""
    status, code, message = refusal(account.submit, Tag=tag, Operation=operation)
    assert (status, code) == (400, "InvalidArgument")
    assert f"Operation is required for {tag}" in message


def test_at_most_six_operations(account: Account) -> None:
    """As documented."""
    several = [{"Tag": "VoiceSeparate", **account.operation()}] * 7
    assert "at most 6" in refusal(account.submit, Tag=None, Operation=several)[2]


def test_every_broken_rule_is_named_at_once(account: Account) -> None:
    """A message that stops at the first fault would make a test of several pass by chance."""
    operation = account.operation(JobLevel="9", VoiceSeparate=separation("Nope", Codec="ogg"))
    message = refusal(account.submit, Operation=operation, CallBackFormat="YAML")[2]
    assert all(word in message for word in ("JobLevel", "AudioMode", "Codec", "CallBackFormat"))


def test_writing_to_a_bucket_of_another_account_is_refused(account: Account) -> None:
    """403 AccessDenied."""
    operation = account.operation(Output=account.output(Bucket="theirs-1250000001"))
    assert refusal(account.submit, Operation=operation)[:2] == (403, "AccessDenied")


def test_private_callbacks_can_be_refused(account: Account) -> None:
    """CI calls back no private address; here that is an option, because everything is on one machine."""
    account.emulator.control("PATCH", "settings", {"public_callbacks": True})
    for host in ("127.0.0.1", "10.0.0.8", "192.168.1.1", "localhost", "[::1]"):
        assert "private" in refusal(account.submit, CallBack=f"http://{host}:8000/x")[2]
    assert account.submit(CallBack="https://a.example/x")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "MissingContent"),
        (b"<Request><Tag>x</Request>", 400, "InvalidContent"),
        (b"{}", 400, "InvalidContent"),
        (b"<Response/>", 400, "InvalidContent"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><Request><Tag>&b;</Tag></Request>", 400, "InvalidContent"),
        (b"<Request>" + b"<A>" * 50 + b"</A>" * 50 + b"</Request>", 400, "InvalidContent"),
        (b"<Request/>", 400, "InvalidArgument"),
    ],
)
def test_a_body_that_is_no_request_is_refused(account: Account, body: bytes, status: int, code: str) -> None:
    """Not there, not XML, not <Request>, a DTD, too deep, empty."""
    answer = post(account, body, {"Content-Type": "application/xml"})
    assert answer.status_code == status
    assert f"<Code>{code}</Code>" in answer.text


def test_a_body_without_a_length_is_refused(account: Account) -> None:
    """411 MissingContentLength for a chunked one."""
    answer = post(account, iter([b"<Request/>"]), {})
    assert (answer.status_code, "MissingContentLength" in answer.text) == (411, True)


def test_ci_has_no_other_endpoints(account: Account) -> None:
    """On CI's own host there are no objects, and /jobs is never one."""
    for method, path in [("GET", "/nothing"), ("PUT", "/jobs"), ("DELETE", "/jobs/j1")]:
        signed = {
            "Authorization": authorization(method, path),
            "Host": f"{account.bucket}.ci.ap-beijing.myqcloud.com",
        }
        answer = requests.request(method, account.emulator.url + path, headers=signed, timeout=10)
        assert answer.status_code == 404
        assert answer.headers["Server"] == "tencent-ci"


def post(account: Account, body: Any, headers: dict[str, str]) -> requests.Response:
    signed = {
        "Authorization": authorization("POST", "/jobs"),
        "Host": f"{account.bucket}.ci.ap-beijing.myqcloud.com",
    }
    return requests.post(f"{account.emulator.url}/jobs", data=body, headers=headers | signed, timeout=10)
