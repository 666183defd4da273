"""Callbacks: in CI's dialects, to whom they are due, tried again as set."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from .running import Account, Receiver, eventually


def names(node: ET.Element) -> list[str]:
    return [child.tag for child in node]


def test_xml_is_the_default_in_the_published_shape(account: Account, receiver: Receiver) -> None:
    """Root Response, EventName TaskFinish, nodes in alphabetical order, empty ones written."""
    job_id = account.submit(CallBack=receiver.url)
    one = receiver.wait()[0]
    assert one.headers["Content-Type"] == "application/xml"
    assert one.path == "/callbacks/a-secret-token"
    assert one.xml.tag == "Response" and names(one.xml) == ["EventName", "JobsDetail"]
    assert one.xml.findtext("EventName") == "TaskFinish"
    for node in one.xml.iter():
        assert names(node) == sorted(names(node))
    detail = one.xml.find("JobsDetail")
    assert detail is not None and detail.findtext("JobId") == job_id
    assert detail.findtext("Message") == "" and detail.findtext("Tag") == "VoiceSeparate"
    files = detail.find("Operation/MediaResult/OutputFile")
    assert files is not None and files.findtext("ObjectPrefix") == ""
    keys = [f"out/{job_id}/voice.mp3", f"out/{job_id}/back.mp3"]
    assert [node.text for node in files.findall("ObjectName")] == keys
    assert [node.findtext("ObjectName") for node in files.findall("Md5Info")] == keys
    assert len(detail.findall("Operation/MediaInfo/Stream/Audio")) == 2


@pytest.mark.parametrize("dialect", ["array", "object", "wrapped"])
def test_json_comes_in_each_dialect(account: Account, receiver: Receiver, dialect: str) -> None:
    """JobsDetail as array or object, or all in Response; scalars are strings; empty nodes are left out."""
    account.emulator.control("PATCH", "settings", {"dialect": dialect})
    job_id = account.submit(CallBack=receiver.url, CallBackFormat="json")
    one = receiver.wait()[0]
    assert one.headers["Content-Type"] == "application/json"
    tree = one.json["Response"] if dialect == "wrapped" else one.json
    detail = tree["JobsDetail"] if dialect == "object" else tree["JobsDetail"][0]
    assert (tree["EventName"], detail["JobId"], detail["State"]) == ("TaskFinish", job_id, "Success")
    assert "Message" not in detail and list(detail) == sorted(detail)
    operation = detail["Operation"]
    assert (operation["UserData"], operation["JobLevel"]) == ("order-42", "0")
    assert isinstance(operation["MediaInfo"]["Format"]["Size"], str)
    assert "ObjectPrefix" not in operation["MediaResult"]["OutputFile"]
    assert len(operation["MediaResult"]["OutputFile"]["Md5Info"]) == 2


def test_a_single_file_is_no_list_in_json(account: Account, receiver: Receiver) -> None:
    """ObjectName is text and Md5Info an object where there is one file."""
    operation = account.operation(VoiceSeparate={"AudioMode": "IsAudio", "AudioConfig": {"Codec": "aac"}})
    job_id = account.submit(Operation=operation, CallBack=receiver.url, CallBackFormat="JSON")
    files = receiver.wait()[0].json["JobsDetail"][0]["Operation"]["MediaResult"]["OutputFile"]
    assert files["ObjectName"] == f"out/{job_id}/voice.aac" == files["Md5Info"]["ObjectName"]


def test_a_failed_job_is_reported_with_code_and_message(account: Account, receiver: Receiver) -> None:
    """And without results."""
    account.fault("fail", times=1, code="ResourceDownloadFailed", message="no such file")
    account.submit(CallBack=receiver.url, CallBackFormat="JSON")
    detail = receiver.wait()[0].json["JobsDetail"][0]
    assert (detail["State"], detail["Code"]) == ("Failed", "ResourceDownloadFailed")
    assert detail["Message"] == "no such file" and "MediaResult" not in detail["Operation"]


def test_a_callback_is_retried_until_the_answer_is_200(account: Account, receiver: Receiver) -> None:
    """The same bytes, with the pause that is set; once answered 200, never again."""
    receiver.answers = [500, 204, 302]
    job_id = account.submit(CallBack=receiver.url)
    got = receiver.wait(4)
    assert len({one.body for one in got}) == 1
    assert all(later.at - earlier.at >= 0.2 for earlier, later in pairwise(got))
    eventually(lambda: [one["status"] for one in log(account, job_id)] == ["sent"])
    assert len(receiver.received) == 4


def test_it_gives_up_when_its_tries_are_used(account: Account, receiver: Receiver) -> None:
    """One try and as many more as are set; the log says so."""
    receiver.answers = [500] * 20
    job_id = account.submit(CallBack=receiver.url)
    found = eventually(lambda: [one for one in log(account, job_id) if one["status"] == "gave_up"])
    assert [attempt["status"] for attempt in found[0]["attempts"]] == [500] * 4


def test_never_again_can_be_set(account: Account, receiver: Receiver) -> None:
    """retry_times 0: one try."""
    account.emulator.control("PATCH", "settings", {"retry_times": 0})
    receiver.answers = [500]
    job_id = account.submit(CallBack=receiver.url)
    eventually(lambda: [one for one in log(account, job_id) if one["status"] == "gave_up"])
    assert len(receiver.received) == 1


def test_a_receiver_that_is_down_gets_it_later(account: Account) -> None:
    """A refused connection is tried again, too."""
    receiver = Receiver()
    port, url = receiver.server.server_port, receiver.url
    receiver.close()
    job_id = account.submit(CallBack=url)
    found = eventually(lambda: [one for one in log(account, job_id) if one["attempts"]])
    assert found[0]["attempts"][0] | {"at": 0} == {"at": 0, "status": None, "error": "ConnectionError"}
    assert str(port) in found[0]["url"]


def test_no_callback_is_none(account: Account, receiver: Receiver) -> None:
    """CallBack=no suppresses the queue's, too."""
    notify(account, receiver)
    job_id = account.submit(CallBack="no")
    account.wait(job_id, "Success")
    assert receiver.received == [] and log(account, job_id) == []


@pytest.mark.parametrize("form", ["XML", "JSON"])
def test_without_one_the_queue_decides(account: Account, receiver: Receiver, form: str) -> None:
    """NotifyConfig with State On: its URL and its ResultFormat."""
    notify(account, receiver, ResultFormat=form)
    account.submit(CallBack=None)
    assert receiver.wait()[0].body.startswith(b"<" if form == "XML" else b"{")


@pytest.mark.parametrize("changes", [{"State": "Off"}, {"Event": "WorkflowFinish"}])
def test_a_queue_without_task_finish_sends_no_callbacks(
    account: Account, receiver: Receiver, changes: dict[str, str]
) -> None:
    """State Off, or other events."""
    notify(account, receiver, **changes)
    job_id = account.submit(CallBack=None)
    account.wait(job_id, "Success")
    assert log(account, job_id) == []


def test_the_jobs_own_callback_beats_the_queues(account: Account, receiver: Receiver) -> None:
    """URL and format are then the job's."""
    notify(account, receiver, Url="http://127.0.0.1:9/never", ResultFormat="JSON")
    account.submit(CallBack=receiver.url)
    assert receiver.wait()[0].body.startswith(b"<")


def test_a_message_queue_gets_no_post(account: Account, receiver: Receiver) -> None:
    """TDMQ is noted, not played."""
    mq = {"MqRegion": "sh", "MqName": "jobs"}
    job_id = account.submit(CallBack=receiver.url, CallBackType="TDMQ", CallBackMqConfig=mq)
    account.wait(job_id, "Success")
    assert [one["status"] for one in log(account, job_id)] == ["elsewhere"]
    assert receiver.received == []


@pytest.mark.parametrize("grouped", [False, True])
def test_several_jobs_are_reported_one_by_one_or_together(
    account: Account, receiver: Receiver, grouped: bool
) -> None:
    """CI does not say which, so both can be had."""
    account.emulator.control("PATCH", "settings", {"group_callbacks": grouped})
    operation = {"TemplateId": "t" + "1" * 32, "Output": account.output()}
    operations = [dict(operation, Tag=tag) for tag in ("Transcode", "Animation")]
    jobs = account.submit_all(Tag=None, Operation=operations, CallBack=receiver.url, CallBackFormat="JSON")
    got = receiver.wait(1 if grouped else 2)
    named = [detail["JobId"] for one in got for detail in one.json["JobsDetail"]]
    assert sorted(named) == sorted(job["JobId"] for job in jobs)
    assert [len(one.json["JobsDetail"]) for one in got] == ([2] if grouped else [1, 1])


def test_the_log_tells_urls_apart_without_giving_them_away(account: Account, receiver: Receiver) -> None:
    """A callback URL holds a secret: the list shows a fingerprint, and all of it only when asked."""
    job_id = account.submit(CallBack=receiver.url)
    receiver.wait()
    shown = log(account, job_id)[0]
    assert "secret" not in shown["url"] and "body" not in shown
    full = account.emulator.control("GET", f"callbacks?job_id={job_id}&full=1")["callbacks"][0]
    assert full["url"] == receiver.url and full["body"].encode() == receiver.received[0].body


def notify(account: Account, receiver: Receiver, **changes: str) -> None:
    config = {"State": "On", "Url": receiver.url, "Type": "Url", "Event": "TaskFinish,WorkflowFinish"}
    account.queue("Active", **config | changes)


def log(account: Account, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.emulator.control("GET", f"callbacks?job_id={job_id}")["callbacks"]
    return found
