"""Jobs live as CI's do, and Tencent's SDK can follow them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from defusedxml import ElementTree

from .running import Account, eventually, refusal
from .signed import send


def test_a_submit_is_answered_with_the_job_as_ci_writes_it(account: Account) -> None:
    """One JobsDetail, Submitted, in the published node order, with ids and times in CI's forms."""
    job = account.submit_all()[0]
    assert list(job) == [
        *(
            "Code",
            "Message",
            "JobId",
            "State",
            "CreationTime",
            "StartTime",
            "EndTime",
            "QueueId",
            "QueueType",
        ),
        *("Tag", "Input", "Operation"),
    ]
    assert re.fullmatch("j[0-9a-f]{32}", job["JobId"])
    assert re.fullmatch("p[0-9a-f]{32}", job["QueueId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0800", job["CreationTime"])
    assert (job["Code"], job["Message"], job["State"]) == ("Success", None, "Submitted")
    assert (job["StartTime"], job["EndTime"], job["QueueType"]) == ("-", "-", "Speeching")
    assert list(job["Input"].items()) == [
        ("BucketId", account.bucket),
        ("Object", "input/song.mp4"),
        ("Region", "ap-chongqing"),
    ]
    assert list(job["Operation"]) == ["VoiceSeparate", "Output", "UserData", "JobLevel"]
    assert job["Operation"]["Output"]["Object"] == "out/${jobid}/back.${ext}"


def test_a_job_goes_from_submitted_over_running_to_success(account: Account) -> None:
    """Running tells its progress; Success has times and the files that were made."""
    account.emulator.control("PATCH", "settings", {"run_seconds": 600})
    job_id = account.submit()
    running = account.wait(job_id, "Running")
    account.emulator.control("POST", f"jobs/{job_id}", {"state": "Success"})
    assert 0 <= int(running["Progress"]) < 100
    assert running["EndTime"] == "-" and running["StartTime"] != "-"
    done = account.wait(job_id, "Success")
    assert "Progress" not in done
    assert done["CreationTime"] <= done["StartTime"] <= done["EndTime"]
    assert done["Operation"]["MediaResult"]["OutputFile"]["ObjectName"] == [
        f"out/{job_id}/voice.mp3",
        f"out/{job_id}/back.mp3",
    ]


def test_a_template_stands_in_for_the_settings(account: Account) -> None:
    """A job by TemplateId shows its id and name, and follows it; a VoiceSeparate beside it is not read."""
    template = account.sdk.ci_create_template(
        Bucket=account.bucket,
        Template={
            "Tag": "VoiceSeparate",
            "Name": "mine",
            "AudioMode": "IsAudio",
            "AudioConfig": {"Codec": "flac"},
        },
    )["Template"]
    operation = account.operation(TemplateId=template["TemplateId"], VoiceSeparate={"AudioMode": "nonsense"})
    job = account.submit_all(Operation=operation)[0]
    assert list(job["Operation"])[:2] == ["TemplateId", "TemplateName"]
    assert job["Operation"]["TemplateName"] == "mine"
    result = account.wait(job["JobId"], "Success")["Operation"]["MediaResult"]["OutputFile"]
    assert result["ObjectName"] == f"out/{job['JobId']}/voice.flac"
    listed = account.sdk.ci_get_template(Bucket=account.bucket, Ids=template["TemplateId"])
    assert [one["Name"] for one in listed["TemplateList"]] == ["mine"]


def test_templates_can_be_demanded(account: Account) -> None:
    """Any TemplateId is accepted without --strict-templates."""
    operation = account.operation(TemplateId="t" + "0" * 32, VoiceSeparate=None)
    assert account.submit(Operation=operation)
    account.emulator.control("PATCH", "settings", {"strict_templates": True})
    assert refusal(account.submit, Operation=operation)[1] == "TemplateNotFound"


def test_several_operations_make_several_jobs(account: Account) -> None:
    """Up to six, each with its own tag, which then stands in the Operation."""
    operations = [
        {"Tag": tag, "TemplateId": "t" + "1" * 32, "Output": account.output(), "UserData": tag}
        for tag in ("Animation", "Transcode", "VoiceSeparate")
    ]
    jobs = account.submit_all(Tag=None, Operation=operations)
    assert len({job["JobId"] for job in jobs}) == 3
    assert [job["Operation"]["Tag"] for job in jobs] == ["Animation", "Transcode", "VoiceSeparate"]
    assert all("Tag" not in job for job in jobs)
    seven = [dict(operations[0], Tag="Animation") for _ in range(7)]
    assert refusal(account.submit_all, Tag=None, Operation=seven)[:2] == (400, "InvalidArgument")


def test_describe_takes_several_ids_and_names_the_unknown(account: Account) -> None:
    """NonExistJobIds only if an id is unknown; a job of another bucket is unknown here."""
    ours = [account.submit(), account.submit()]
    answer = account.sdk.ci_get_media_jobs(Bucket=account.bucket, JobIDs=",".join(ours))
    assert [job["JobId"] for job in answer["JobsDetail"]] == ours
    assert "NonExistJobIds" not in answer
    answer = account.sdk.ci_get_media_jobs(Bucket=account.bucket, JobIDs=f"{ours[0]},jnone")
    assert answer["NonExistJobIds"] == "jnone"
    other = account.sdk.ci_get_media_jobs(Bucket="other-1250000000", JobIDs=ours[0])
    assert other["NonExistJobIds"] == ours[0]


def test_a_list_is_paged_until_there_is_no_next_token(account: Account) -> None:
    """Newest first, or oldest first; every job once; the last page has no NextToken."""
    made = [account.submit(Operation=account.operation(UserData=str(n))) for n in range(5)]

    def walk(order: str) -> list[str]:
        seen: list[str] = []
        token = ""
        while True:
            page = account.sdk.ci_list_media_jobs(
                Bucket=account.bucket, Tag="VoiceSeparate", Size=2, NextToken=token, OrderByTime=order
            )
            seen += [job["JobId"] for job in page["JobsDetail"]]
            token = page.get("NextToken") or ""
            if not token:
                return seen

    assert walk("Asc") == made
    assert walk("Desc") == made[::-1]


def test_a_list_can_be_narrowed(account: Account) -> None:
    """By state, queue, time of creation and exact input object; an empty list is no error."""
    job_id = account.submit(Input={"Object": "input/a.mp4"})
    created = datetime.strptime(account.wait(job_id, "Success")["CreationTime"], "%Y-%m-%dT%H:%M:%S%z")

    def found(path: str = "/jobs", **query: Any) -> bool:
        page = account.sdk.ci_list_media_jobs(
            Bucket=account.bucket, **({"Tag": "VoiceSeparate"} | query), Path=path
        )
        return bool(page.get("JobsDetail"))

    def at(seconds: int) -> str:
        return (created + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S%z")

    assert found()
    assert found(States="Failed,Success") and not found(States="Running,Failed")
    assert not found(Tag="Transcode")
    assert found(QueueId="p2242ab62c7c94486915508540933a2c6") and not found(QueueId="p" + "0" * 32)
    assert found(StartCreationTime=at(0), EndCreationTime=at(0))
    assert not found(StartCreationTime=at(1)) and not found(EndCreationTime=at(-1))


@pytest.mark.parametrize(
    "query",
    [
        {"Tag": ""},
        {"Size": 101},
        {"Size": 0},
        {"Size": "x"},
        {"OrderByTime": "Up"},
        {"States": "Success,Done"},
        {"StartCreationTime": "yesterday"},
        {"NextToken": "made up"},
    ],
)
def test_a_list_with_a_wrong_parameter_is_refused(account: Account, query: dict[str, Any]) -> None:
    """CI's rules: tag is required, size at most 100, and so on."""
    query = {"Tag": "VoiceSeparate"} | query
    assert refusal(account.sdk.ci_list_media_jobs, Bucket=account.bucket, **query)[:2] == (
        400,
        "InvalidArgument",
    )


@pytest.mark.parametrize("query", ["?cancel", "?cancel=", ""])
def test_a_job_is_cancelled_with_and_without_the_word(account: Account, query: str) -> None:
    """CI's pages and the Go and Python SDKs have `?cancel`; the SDKs for Java and Node send none."""
    account.queue("Paused")
    job_id = account.submit()
    host = "{}.ci.ap-chongqing.myqcloud.com"
    answer = send(account, "PUT", f"/jobs/{job_id}{query}", host, b"")
    assert (answer.status_code, answer.content) == (200, b"")
    assert account.job(job_id)["State"] == "Cancel"


@pytest.mark.parametrize("key", ["in/a\nb.mp3", "in/a\rb.mp3", "in/a\r\nb\tc.mp3", "/in/a.mp3"], ids=repr)
def test_an_object_key_is_reported_as_it_was_given(account: Account, key: str) -> None:
    """A line end in XML is written so that a reader gets the same one; and the file is found by it."""
    account.emulator.control("PATCH", "settings", {"strict_input": True})
    assert send(account, "PUT", "/" + quote(key)).status_code == 200
    body = b"<Request><Tag>MediaInfo</Tag><Input><Object>%s</Object></Input><CallBack>no</CallBack></Request>"
    given = body % key.replace("\r", "&#13;").encode()
    answer = send(account, "POST", "/jobs", "{}.ci.ap-chongqing.myqcloud.com", given)
    described = ElementTree.fromstring(answer.content)
    assert described.findtext("JobsDetail/Input/Object") == key
    account.wait(str(described.findtext("JobsDetail/JobId")), "Success")


def test_only_a_job_that_waits_can_be_cancelled(account: Account) -> None:
    """Cancel is final and sends no callback; what runs, has ended or is unknown is refused."""
    account.emulator.control("PATCH", "settings", {"queue_seconds": 30})
    job_id = account.submit()
    assert account.sdk.ci_cancel_jobs(Bucket=account.bucket, JobID=job_id) == ""
    cancelled = account.job(job_id)
    assert (cancelled["State"], cancelled["StartTime"]) == ("Cancel", "-")
    assert cancelled["EndTime"] != "-"
    assert refusal(account.sdk.ci_cancel_jobs, Bucket=account.bucket, JobID=job_id)[:2] == (
        400,
        "InvalidArgument",
    )
    running = account.submit()
    account.emulator.control("POST", f"jobs/{running}", {"state": "Running"})
    assert refusal(account.sdk.ci_cancel_jobs, Bucket=account.bucket, JobID=running)[1] == "InvalidArgument"
    assert refusal(account.sdk.ci_cancel_jobs, Bucket=account.bucket, JobID="jx")[1] == "ResourceNotFound"


def test_a_job_is_seen_through_its_own_region_only(account: Account) -> None:
    """As if it were another service: not described, not listed, not cancelled."""
    account.emulator.control("PATCH", "settings", {"queue_seconds": 60})
    job_id = account.submit()
    far = account.emulator.client(Region="ap-beijing")
    answer = far.ci_get_media_jobs(Bucket=account.bucket, JobIDs=job_id)
    assert "JobsDetail" not in answer and job_id in str(answer["NonExistJobIds"])
    assert not far.ci_list_media_jobs(Bucket=account.bucket, QueueId="", Tag="VoiceSeparate").get(
        "JobsDetail"
    )
    assert refusal(far.ci_cancel_jobs, Bucket=account.bucket, JobID=job_id)[1] == "ResourceNotFound"
    assert account.job(job_id)["State"] == "Submitted"


def test_jobs_pause_with_their_queue(account: Account) -> None:
    """Those that wait become Pause, and go on when the queue does; one that runs is left alone."""
    account.emulator.control("PATCH", "settings", {"queue_seconds": 600, "run_seconds": 600})
    running = account.submit()
    account.emulator.control("POST", f"jobs/{running}", {"state": "Running"})
    waiting = account.submit()
    account.queue("Paused")
    assert account.job(waiting)["State"] == "Pause"
    assert account.job(account.submit())["State"] == "Pause"
    assert account.job(running)["State"] == "Running"
    account.queue("Active")
    account.wait(waiting, "Submitted")


def test_queues_are_listed_and_changed(account: Account) -> None:
    """The built-in ones, with the fields that CI lists; names are changed, unknown ids named."""
    answer = account.sdk.ci_get_media_queue(Bucket=account.bucket)
    assert answer["TotalCount"] == str(len(answer["QueueList"]))
    assert [one["Name"] for one in answer["QueueList"]][:2] == ["queue-1", "queue-speech-1"]
    queue_id = account.queue("Active", State="On", Url="http://127.0.0.1:1/x", Type="Url", Event="TaskFinish")
    one = account.sdk.ci_get_media_queue(Bucket=account.bucket, QueueIds=f"{queue_id},pnone", State="Active")
    assert one["QueueList"][0]["NotifyConfig"]["Url"] == "http://127.0.0.1:1/x"
    assert one["NonExistPIDs"] == "pnone"
    paged = account.sdk.ci_get_media_queue(Bucket=account.bucket, PageNumber="2", PageSize="1")
    assert [queue["QueueId"] for queue in paged["QueueList"]] == [queue_id]


@pytest.mark.parametrize(
    "request_",
    [
        {"State": "Asleep"},
        {"Name": "x" * 129},
        {"NotifyConfig": {"State": "On", "Type": "Url", "Event": "TaskFinish"}},
        {"NotifyConfig": {"State": "On", "Type": "Url", "Event": "Never", "Url": "http://a.example"}},
        {
            "NotifyConfig": {
                "State": "On",
                "Type": "TDMQ",
                "Event": "TaskFinish",
                "MqName": "q",
                "MqRegion": "mars",
            }
        },
        {"NotifyConfig": {"State": "Off", "ResultFormat": "YAML"}},
    ],
)
def test_a_wrong_queue_is_refused(account: Account, request_: dict[str, Any]) -> None:
    """The rules of NotifyConfig, name and state."""
    queue_id = account.sdk.ci_get_media_queue(Bucket=account.bucket)["QueueList"][0]["QueueId"]
    update = account.sdk.ci_update_media_queue
    assert refusal(update, Bucket=account.bucket, QueueId=queue_id, Request=request_)[:2] == (
        400,
        "InvalidArgument",
    )


def test_a_full_queue_is_saturated(account: Account) -> None:
    """403 QueueSaturated once as many jobs wait as the queue holds."""
    account.emulator.control("PATCH", "settings", {"queue_size": 2, "queue_seconds": 30})
    account.submit()
    account.submit()
    assert refusal(account.submit)[:2] == (403, "QueueSaturated")


def test_a_missing_input_matters_only_when_asked(account: Account) -> None:
    """A fresh machine has no objects, so a job succeeds without; with --strict-input it fails."""
    account.wait(account.submit(), "Success")
    account.emulator.control("PATCH", "settings", {"strict_input": True})
    failed = account.wait(account.submit(), "Failed")
    assert failed["Code"] == "ResourceNotFound" and failed["Message"]
    account.sdk.put_object(Bucket=account.bucket, Body=b"music", Key="input/song.mp4")
    account.wait(account.submit(), "Success")


def test_a_test_can_decide_how_a_job_ends(account: Account) -> None:
    """The control API moves a job to Running, Success or Failed at once."""
    account.emulator.control("PATCH", "settings", {"queue_seconds": 30})
    job_id = account.submit()
    wanted = {"state": "Failed", "code": "ResourceDownloadFailed", "message": "gone"}
    account.emulator.control("POST", f"jobs/{job_id}", wanted)
    job = account.job(job_id)
    assert (job["State"], job["Code"], job["Message"]) == ("Failed", "ResourceDownloadFailed", "gone")
    account.emulator.control("POST", f"jobs/{job_id}", {"state": "Success"}, status=400)


def test_other_tags_run_too(account: Account) -> None:
    """Any tag is a job; its Output.Object is written."""
    operation = {"Output": {"Region": "ap-chongqing", "Bucket": account.bucket, "Object": "out/x.gif"}}
    job_id = account.submit(Tag="Animation", Operation=operation)
    account.wait(job_id, "Success")
    assert eventually(lambda: account.sdk.object_exists(account.bucket, "out/x.gif"))
