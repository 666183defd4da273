"""The control API: callbacks on order, settings, reset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .running import Account, Emulator, Receiver


def order(account: Account, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    wanted = {"url": receiver.url, "bucket": account.bucket} | fields
    answer: dict[str, Any] = account.emulator.control("POST", "callbacks", wanted)
    return answer


@pytest.mark.parametrize("form", ["XML", "JSON"])
def test_a_callback_for_an_invented_job_is_sent_at_once(
    account: Account, receiver: Receiver, form: str
) -> None:
    """The answer has what was sent and how it was taken; the job can be described like any other."""
    answer = order(account, receiver, format=form, user_data="order-7", input_object="in/a.wav")
    assert [(one["state"], one["status"]) for one in answer["sent"]] == [("Success", 200)]
    assert answer["sent"][0]["body"].encode() == receiver.received[0].body
    assert receiver.received[0].states == ["Success"]
    job = account.job(answer["job_id"])
    assert (job["State"], job["Operation"]["UserData"]) == ("Success", "order-7")
    assert job["Input"] == {"BucketId": account.bucket, "Object": "in/a.wav", "Region": "ap-chongqing"}
    key = job["Operation"]["MediaResult"]["OutputFile"]["ObjectName"][0]
    assert account.sdk.object_exists(account.bucket, key)


def test_it_can_be_sent_several_times_and_out_of_order(account: Account, receiver: Receiver) -> None:
    """Copies first, then how the job was before."""
    answer = order(account, receiver, times=2, out_of_order=True, format="JSON")
    assert [one.states[0] for one in receiver.received] == ["Success", "Success", "Running", "Submitted"]
    assert [one["state"] for one in answer["sent"]] == ["Success", "Success", "Running", "Submitted"]
    assert receiver.received[0].body == receiver.received[1].body


def test_any_tag_and_state_can_be_ordered(account: Account, receiver: Receiver) -> None:
    """Failed with a code; a state that CI may invent one day."""
    order(account, receiver, tag="Transcode", state="Failed", code="Gone", message="away", format="JSON")
    detail = receiver.received[0].json["JobsDetail"][0]
    assert (detail["Tag"], detail["State"], detail["Code"], detail["Message"]) == (
        *("Transcode", "Failed", "Gone", "away"),
    )
    order(account, receiver, state="Exploded", dialect="object", format="JSON")
    assert receiver.received[1].json["JobsDetail"]["State"] == "Exploded"


def test_the_callback_of_a_known_job_can_be_sent_again(account: Account, receiver: Receiver) -> None:
    """By its id, in whatever format."""
    job_id = account.submit()
    account.wait(job_id, "Success")
    assert order(account, receiver, job_id=job_id, format="JSON")["job_id"] == job_id
    assert receiver.received[0].json["JobsDetail"][0]["JobId"] == job_id
    assert receiver.received[0].json["JobsDetail"][0]["Operation"]["UserData"] == "order-42"


def test_any_body_can_be_sent(account: Account, receiver: Receiver) -> None:
    """Word for word, such as the console's test message."""
    order(account, receiver, body='{"code":0,"message":"Test request"}', times=2)
    assert [one.body for one in receiver.received] == [b'{"code":0,"message":"Test request"}'] * 2


def test_a_workflow_run_can_be_reported(account: Account, receiver: Receiver) -> None:
    """WorkflowFinish, in both formats; times with a space, as in the published samples."""
    answer = order(account, receiver, tag="WorkflowFinish", format="XML", input_object="in/a.mp4")
    run = receiver.received[0].xml.find("WorkflowExecution")
    assert run is not None and run.findtext("RunId") == answer["job_id"]
    assert (run.findtext("Object"), run.findtext("State")) == ("in/a.mp4", "Success")
    assert " " in (run.findtext("CreateTime") or "")
    order(account, receiver, tag="WorkflowFinish", format="JSON", state="Failed")
    assert receiver.received[1].json["EventName"] == "WorkflowFinish"
    assert receiver.received[1].json["WorkflowExecution"]["Tasks"][0]["State"] == "Failed"


def test_reviews_and_the_consoles_probe_can_be_sent(account: Account, receiver: Receiver) -> None:
    """Detail and Simple, named in a header; the probe is Simple with the console's message."""
    order(account, receiver, tag="ReviewVideo", format="XML")
    order(account, receiver, tag="ReviewImage", dialect="simple")
    order(account, receiver, tag="Probe")
    detail, simple, probe = receiver.received
    assert detail.headers["X-Ci-Content-Version"] == "Detail"
    assert (detail.json["EventName"], detail.json["JobsDetail"]["Result"]) == ("ReviewVideo", 0)
    assert simple.headers["X-Ci-Content-Version"] == "Simple"
    assert simple.json["data"]["event"] == "ReviewImage"
    assert probe.json["message"] == "Test request when setting callback url"
    assert "X-Ci-Content-Version" not in probe.headers


def test_a_receiver_that_refuses_or_is_away_is_reported(account: Account, receiver: Receiver) -> None:
    """Status or error in the answer; nothing is tried again."""
    receiver.answers = [403]
    assert order(account, receiver)["sent"][0]["status"] == 403
    assert order(account, receiver, url="http://127.0.0.1:9/x")["sent"][0]["error"] == "ConnectionError"
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    "fields",
    [{"url": "file:///etc/passwd"}, {"times": 0}, {"times": "2"}, {"format": "YAML"}, {"colour": "red"}],
)
def test_an_order_that_makes_no_sense_is_refused(
    account: Account, receiver: Receiver, fields: dict[str, Any]
) -> None:
    """400 with a sentence, and nothing is sent."""
    wanted = {"url": receiver.url} | fields
    assert account.emulator.control("POST", "callbacks", wanted, status=400)["error"]
    assert receiver.received == []


@pytest.mark.parametrize(
    "changes", [{"nonsense": 1}, {"dialect": "latin"}, {"retry_times": "x"}, {"run_seconds": -1}, [], None]
)
def test_a_wrong_setting_changes_nothing(account: Account, changes: Any) -> None:
    """400 with a sentence."""
    before = account.emulator.control("GET", "settings")
    assert account.emulator.control("PATCH", "settings", changes, status=400)["error"]
    assert account.emulator.control("GET", "settings") == before


def test_reset_forgets_everything_but_the_command_line(tmp_path: Path) -> None:
    """Jobs, objects, callbacks, requests, settings and faults are as after the first start."""
    emulator = Emulator(tmp_path, "--run-seconds", "0.1", "--fault", "lose:tag=Transcode,times=1")
    try:
        bucket = "demo-1250000000"
        account = Account(emulator, emulator.client(), bucket)
        first = emulator.control("GET", "settings"), emulator.control("GET", "faults")
        job_id = account.submit()
        account.sdk.put_object(Bucket=bucket, Body=b"x", Key="k")
        emulator.control("PATCH", "settings", {"run_seconds": 9.0})
        emulator.control("POST", "faults", {"kind": "drop"})
        emulator.control("POST", "reset")
        after = emulator.control("GET", "settings"), emulator.control("GET", "faults")
        assert after[0] == first[0]
        assert [one["kind"] for one in after[1]["faults"]] == ["lose"]
        assert account.sdk.ci_get_media_jobs(Bucket=bucket, JobIDs=job_id)["NonExistJobIds"] == job_id
        assert not account.sdk.object_exists(bucket, "k")
        assert emulator.control("GET", "callbacks") == {"callbacks": []}
    finally:
        emulator.stop()


def test_an_unknown_url_is_404_in_json(emulator: Emulator) -> None:
    """The control API speaks JSON in its errors, too."""
    assert emulator.control("GET", "nothing", status=404)["error"]
