"""The emulator teaches the truth: for each tag a job of its own shape, which reads as such a job in the record."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from app.ci.incoming.payload import parse, parse_answer
from app.ci.report import Report
from tests.emulator import signed
from tests.emulator.running import Account, Receiver, eventually

# What the record of a job of each tag has: the roles of its outputs, whether CI says something of them, its result.
Made: TypeAlias = "tuple[list[str | None], bool, str | None]"
FILM: Made = ([None], True, None)
MADE: dict[str, Made] = {
    "Animation": FILM,
    "Concat": FILM,
    "DigitalWatermark": FILM,
    "DocProcess": ([None, None], False, "DocProcessResult"),
    "ExtractDigitalWatermark": ([], False, "ExtractDigitalWatermark"),
    "FileHashCode": ([], False, "FileHashCodeResult"),
    "MediaInfo": ([], True, "MediaInfo"),
    "NoiseReduction": ([None], False, None),
    "PicProcess": ([None], False, "PicProcessResult"),
    "QualityEstimate": ([], True, "QualityEstimate"),
    "SDRtoHDR": FILM,
    "Segment": ([None] * 3, True, None),
    "SmartCover": ([None] * 3, False, None),
    "Snapshot": ([None] * 3 + ["sprite"], False, None),
    "SoundHound": ([], False, "SoundHoundResult"),
    "SpeechRecognition": ([None, None], False, "SpeechRecognitionResult"),
    "StreamExtract": ([None, None], False, None),
    "SuperResolution": FILM,
    "Transcode": FILM,
    "Translation": ([None], False, None),
    "Tts": FILM,
    "VideoMontage": FILM,
    "VideoProcess": FILM,
    "VideoTag": ([], False, "VideoTagResult"),
    "VideoTargetRec": ([], False, "VideoTargetRecResult"),
    "VocalScore": ([], False, "VocalScoreResult"),
    "VoiceSeparate": (["vocals", "background"], True, None),
    "WordsGeneralize": ([], False, "WordsGeneralizeResult"),
}
STARTS = {
    "jpg": b"\xff\xd8\xff",
    "gif": b"GIF89a",
    "wav": b"RIFF",
    "mp3": b"ID3",
    "txt": b"",
    "detail": b"[",
}


def send(account: Account, receiver: Receiver, tag: str, **fields: Any) -> tuple[str, bytes]:
    """Have one callback sent; the job's id and the body that came."""
    wanted = {"url": receiver.url, "tag": tag, "bucket": account.bucket, **fields}
    answer = account.emulator.control("POST", "callbacks", wanted)
    return answer["job_id"], receiver.received[-1].body


def report_of(body: bytes) -> Report:
    return parse(body).details[0].report


def made(report: Report) -> Made:
    kind = report.result.kind if report.result else None
    return [each.role for each in report.outputs], report.media is not None, kind


@pytest.mark.parametrize("tag", MADE)
def test_a_callback_has_the_shape_of_its_tag(account: Account, receiver: Receiver, tag: str) -> None:
    """Outputs, media and result; the same in XML, in JSON and in CI's answer."""
    job_id, body = send(account, receiver, tag, user_data="u-1")
    as_json = report_of(body)
    assert (made(as_json), as_json.user_data) == (MADE[tag], "u-1")
    _, body = send(account, receiver, tag, job_id=job_id, format="XML")
    assert report_of(body) == as_json
    answer: Any = account.sdk.ci_get_media_jobs(Bucket=account.bucket, JobIDs=job_id)["JobsDetail"][0]
    assert (answer["State"], answer["Tag"]) == ("Success", tag)


@pytest.mark.parametrize("tag", [tag for tag, (roles, *_) in MADE.items() if roles])
def test_its_outputs_are_there_and_are_what_their_names_say(
    account: Account, receiver: Receiver, tag: str
) -> None:
    """Pictures are pictures, sounds are sounds; the MD5 is that of the bytes."""
    report = report_of(send(account, receiver, tag)[1])
    for output in report.outputs:
        assert output.bucket == account.bucket and "${" not in output.object
        stored = account.sdk.get_object(account.bucket, output.object)
        body = stored["Body"].get_raw_stream().read()
        suffix = output.object.rpartition(".")[2]
        assert body[4:8] == b"ftyp" if suffix == "mp4" else body.startswith(STARTS[suffix])
        assert output.md5 in {None, stored["ETag"].strip('"')}


def test_a_recognised_text_is_text(account: Account, receiver: Receiver) -> None:
    """In the result, and in the file that was asked for."""
    report = report_of(send(account, receiver, "SpeechRecognition")[1])
    assert report.result is not None
    text = report.result.data["ResultDetail"]["FinalSentence"]
    stored = account.sdk.get_object(account.bucket, report.outputs[0].object)
    assert text == "Hello from the emulator." and text in stored["Body"].get_raw_stream().read().decode()


def test_words_come_without_tag_and_state(account: Account, receiver: Receiver) -> None:
    """As CI sends them; its answer has both."""
    job_id, body = send(account, receiver, "WordsGeneralize")
    assert b'"State"' not in body and b'"Tag"' not in body
    assert (report_of(body).tag, report_of(body).state) == ("WordsGeneralize", None)
    assert account.job(job_id)["State"] == "Success"


def test_a_submitted_job_makes_the_same_shapes(account: Account) -> None:
    """As many pictures as were asked for, numbered, and a sprite."""
    output = account.output(Object="s/${Number}.png", AuObject=None, SpriteObject="s/all-${number}.jpg")
    operation = {"Snapshot": {"Mode": "Interval", "Count": "2"}, "Output": output}
    job_id = account.submit(Tag="Snapshot", Operation=operation)
    account.wait(job_id, "Success")
    answer = signed.send(account, "GET", f"/jobs/{job_id}", "{}.ci.ap-chongqing.myqcloud.com", b"")
    report = parse_answer(answer.content).details[0].report
    assert [(each.role, each.object) for each in report.outputs] == [
        (None, "s/0.png"),
        (None, "s/1.png"),
        ("sprite", "s/all-0.jpg"),
    ]
    stored = account.sdk.get_object(account.bucket, "s/0.png")["Body"].get_raw_stream().read()
    assert stored.startswith(b"\x89PNG\r\n")


def test_a_job_that_ends_by_itself_calls_back_with_its_result(account: Account, receiver: Receiver) -> None:
    """Not only one that is made for a callback."""
    account.submit(
        Tag="ExtractDigitalWatermark",
        Operation={"ExtractDigitalWatermark": {"Type": "Text", "Version": "V1"}},
        CallBack=receiver.url,
    )
    eventually(lambda: receiver.received)
    result = report_of(receiver.received[0].body).result
    assert result is not None and result.data["Message"] == "emulator"
