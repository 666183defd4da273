"""What can go wrong, on demand."""

from __future__ import annotations

import time
from typing import Any

import pytest
import qcloud_cos
import requests

from .running import Account, Emulator, Receiver, eventually, refusal
from .test_callbacks import log

SDK: Any = qcloud_cos


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 429),
        ("QueueSaturated", 403),
        ("InternalError", 500),
        ("ServiceUnavailable", 503),
        ("CIRoleNotExist", 400),
    ],
)
def test_a_submit_can_be_refused_with_any_of_cis_errors(account: Account, code: str, status: int) -> None:
    """With the status that belongs to it, for the next N, and no job made; then all is well."""
    account.fault("error", on="submit", code=code, times=2)
    assert [refusal(account.submit)[:2] for _ in range(2)] == [(status, code)] * 2
    assert account.submit()
    page = account.sdk.ci_list_media_jobs(Bucket=account.bucket, Tag="VoiceSeparate")
    assert len(page["JobsDetail"]) == 1
    assert [one["status"] for one in account.requests("submit")] == [status, status, 200]


def test_a_fault_keeps_to_its_endpoint_and_bucket(account: Account) -> None:
    """Others are served as ever."""
    account.fault("error", on="describe", code="SlowDown")
    job_id = account.submit()
    assert refusal(account.job, job_id)[0] == 429
    assert account.sdk.ci_list_media_jobs(Bucket=account.bucket, Tag="VoiceSeparate")["JobsDetail"]
    other = account.sdk.ci_get_media_jobs(Bucket="other-1250000000", JobIDs=job_id)
    assert other["NonExistJobIds"] == job_id


def test_chance_is_repeatable(account: Account) -> None:
    """The same seed gives the same misfortune."""

    def run() -> list[bool]:
        account.emulator.control("DELETE", "faults")
        account.fault("error", on="queues", code="SlowDown", probability=0.5, seed=7)
        outcomes = []
        for _ in range(12):
            try:
                account.sdk.ci_get_media_queue(Bucket=account.bucket)
                outcomes.append(True)
            except SDK.CosServiceError:
                outcomes.append(False)
        return outcomes

    first = run()
    assert run() == first
    assert {True, False} <= set(first)


def lost(account: Account) -> str:
    """The error that the SDK raises when no answer comes."""
    with pytest.raises(SDK.CosClientError) as error:
        account.submit()
    return str(error.value)


def test_an_answer_can_be_lost_after_the_job_was_made(account: Account) -> None:
    """The connection closes without an answer, and the job is there."""
    account.fault("lost_answer", on="submit", times=1)
    lost(account)
    page = account.sdk.ci_list_media_jobs(Bucket=account.bucket, Tag="VoiceSeparate")
    assert len(page["JobsDetail"]) == 1


def test_a_connection_can_be_dropped_before_anything_is_done(account: Account) -> None:
    """Closed without an answer, and no job."""
    account.fault("drop", on="submit", times=1)
    lost(account)
    assert "JobsDetail" not in account.sdk.ci_list_media_jobs(Bucket=account.bucket, Tag="VoiceSeparate")


def test_a_connection_can_hang(account: Account) -> None:
    """Silence until the client loses patience; meanwhile others are served."""
    account.fault("hang", on="submit", times=1, seconds=20)
    impatient = Account(account.emulator, account.emulator.client(Timeout=0.5), account.bucket)
    assert "timed out" in lost(impatient)
    assert account.submit()


def test_an_answer_can_be_slow(account: Account) -> None:
    """Right, but late."""
    account.fault("slow", on="queues", times=1, seconds=0.4)
    began = time.monotonic()
    assert account.sdk.ci_get_media_queue(Bucket=account.bucket)["QueueList"]
    assert time.monotonic() - began >= 0.4


def test_a_callback_can_come_before_the_answer_of_its_submit(account: Account, receiver: Receiver) -> None:
    """The receiver has it, whole, when the submitter learns the job's id."""
    account.fault("early", times=1)
    job = account.submit_all(CallBack=receiver.url)[0]
    assert len(receiver.received) == 1
    assert receiver.received[0].xml.findtext("JobsDetail/JobId") == job["JobId"]
    assert receiver.received[0].states == ["Success"]
    assert job["State"] == "Submitted"
    assert account.job(job["JobId"])["State"] == "Success"
    eventually(lambda: [one["status"] for one in log(account, job["JobId"])] == ["sent"])
    assert len(receiver.received) == 1


def test_an_early_callback_that_fails_is_tried_again_like_any(account: Account, receiver: Receiver) -> None:
    """It does not hold up the submit for longer than one try."""
    account.fault("early", times=1)
    receiver.answers = [500]
    account.submit(CallBack=receiver.url)
    receiver.wait(2)


def test_a_job_can_run_without_end(account: Account) -> None:
    """Running, at 99 %, until the control API ends it."""
    account.fault("stuck", times=1)
    job_id = account.submit()
    account.wait(job_id, "Running")
    eventually(lambda: account.job(job_id)["Progress"] == "99")
    account.emulator.control("POST", f"jobs/{job_id}", {"state": "Success"})
    assert account.job(job_id)["State"] == "Success"


def test_callbacks_can_come_twice(account: Account, receiver: Receiver) -> None:
    """The same bytes, as often as is asked."""
    account.fault("duplicate", times=1, copies=2)
    account.submit(CallBack=receiver.url)
    got = receiver.wait(3)
    assert len({one.body for one in got}) == 1


@pytest.mark.parametrize("state", ["Running", "Submitted"])
def test_an_older_callback_can_come_after_the_last(account: Account, receiver: Receiver, state: str) -> None:
    """First how the job ended, then how it was before."""
    account.fault("disorder", times=1, state=state)
    account.submit(CallBack=receiver.url, CallBackFormat="JSON")
    got = receiver.wait(2)
    assert [one.states for one in got] == [["Success"], [state]]
    late = got[1].json["JobsDetail"][0]
    assert late["EndTime"] == "-" and "MediaResult" not in late["Operation"]


def test_a_callback_can_be_late(account: Account, receiver: Receiver) -> None:
    """It comes that number of seconds after the end of the job."""
    account.fault("delay", times=1, seconds=0.6)
    began = time.time()
    account.submit(CallBack=receiver.url)
    assert receiver.wait()[0].at - began >= 0.2 + 0.2 + 0.6


def test_a_callback_can_be_lost(account: Account, receiver: Receiver) -> None:
    """It is never sent; the log knows."""
    account.fault("lose", times=1)
    job_id = account.submit(CallBack=receiver.url)
    account.wait(job_id, "Success")
    assert [one["status"] for one in log(account, job_id)] == ["lost"]
    account.submit(CallBack=receiver.url)
    assert len(receiver.wait()) == 1


def test_a_callback_can_be_cut_short(account: Account, receiver: Receiver) -> None:
    """Half of a body is no XML."""
    account.fault("truncate", times=1)
    account.submit(CallBack=receiver.url)
    assert not receiver.wait()[0].body.endswith(b"</Response>")


def test_faults_can_be_seen_and_taken_back(account: Account) -> None:
    """Each has an id and counts its hits."""
    fault = account.emulator.control("POST", "faults", {"kind": "drop", "bucket": account.bucket})["id"]
    armed = account.emulator.control("GET", "faults")["faults"]
    assert [(one["id"], one["kind"], one["hits"]) for one in armed] == [(fault, "drop", 0)]
    account.emulator.control("DELETE", f"faults/{fault}")
    assert account.submit()


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"kind": "magic"},
        {"kind": "drop", "when": "now"},
        {"kind": "drop", "times": "x"},
        {"kind": "drop", "on": "submits"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(emulator: Emulator, spec: dict[str, str]) -> None:
    """400, with a sentence."""
    assert emulator.control("POST", "faults", spec, status=400)["error"]


def test_the_wire_survives_it_all(account: Account) -> None:
    """After drops and hangs the emulator still answers others at once."""
    for kind in ("drop", "lost_answer"):
        account.fault(kind, on="queues", times=3)
    for _ in range(6):
        with pytest.raises(SDK.CosClientError):
            account.sdk.ci_get_media_queue(Bucket=account.bucket)
    assert requests.get(f"{account.emulator.url}/_emulator/health", timeout=60).ok
