"""Whether the outputs that CI reports are really there: looked up at COS, kept in the record."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from urllib.request import urlopen

from app.ci.incoming.payload import parse
from app.services import Services
from app.store import News
from app.store.jobs.accept import as_body
from harness.servers import Service, eventually
from tests.workers.conftest import Start
from tests.workers.news import body, tell

REQUEST = {
    "input": {"object": "input/demo.mp3"},
    "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
    "output": {"object": "out/${jobid}/b.${ext}", "au_object": "out/${jobid}/v.${ext}"},
}


def a_finished_job(service: Service) -> str:
    """Run by the emulator, so that its outputs exist."""
    job_id: str = service.call("POST", "/v1/jobs", json=REQUEST).json()["job_id"]
    assert service.call("GET", f"/v1/jobs/{job_id}?wait=60").json()["state"] == "Success"
    return job_id


def checked(service: Service, job_id: str) -> Any:
    job = service.call("GET", f"/v1/jobs/{job_id}").json()
    return job if job["outputs_ok"] is not None else None


def test_outputs_that_are_there_are_filled_in(start: Start) -> None:
    """Size and ETag of each; the record's version moves; the run says when; a later poll does not lose it."""
    service = start(check_outputs=True)
    job_id = a_finished_job(service)
    job = eventually(lambda: checked(service, job_id), "the check")
    assert job["outputs_ok"] is True
    assert all(each["size"] > 0 and each["etag"] for each in job["outputs"])
    entry = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"][-1]
    assert ("check_outputs", "done") in [(run["handler"], run["state"]) for run in entry["runs"]]

    again = service.call("POST", f"/v1/jobs/{job_id}/refresh").json()
    assert again["outputs_ok"] is True
    assert [each["size"] for each in again["outputs"]] == [each["size"] for each in job["outputs"]]


def test_odd_keys_are_found_where_they_were_asked_for(start: Start) -> None:
    """A line end or a slash in front is part of a key, in CI's report, in our record, at COS and in our link."""
    service = start(check_outputs=True)
    for form in ("JSON", "XML"):
        keys = {"object": f"/{form}/b.${{ext}}", "au_object": f"out/{form}\na\r\nb + %0A 録.${{ext}}"}
        made = service.call("POST", "/v1/jobs", json=REQUEST | {"output": keys, "callback_format": form})
        job_id = made.json()["job_id"]
        job = eventually(partial(checked, service, job_id), "the check")
        assert job["outputs_ok"] is True
        assert {each["role"]: each["object"] for each in job["outputs"]} == {
            "background": f"/{form}/b.mp3",
            "vocals": f"out/{form}\na\r\nb + %0A 録.mp3",
        }
        for each in job["outputs"]:
            with urlopen(each["url"], timeout=10) as link:  # noqa: S310  Requests would fold the slashes
                assert len(link.read()) == each["size"]


def test_a_missing_output_is_a_failure_to_look_at(start: Start) -> None:
    """``outputs_ok`` is false, and the failure names the object."""
    service = start(check_outputs=True, trust_outputs="songs-1250000000")
    job_id, event_id = tell(service.services)
    job = eventually(lambda: checked(service, job_id), "the check")
    assert job["outputs_ok"] is False
    (failure,) = eventually(lambda: failures(service), "the failure")
    assert (failure["handler"], failure["event_id"], failure["tag"]) == (
        "check_outputs",
        event_id,
        "VoiceSeparate",
    )
    assert "out/voice.mp3 is missing" in failure["tries"][-1]["error"]
    assert len(failure["tries"]) == 1


def test_another_file_in_its_place_is_seen(start: Start) -> None:
    """The MD5 that CI named is compared with the ETag."""
    service = start(check_outputs=True)
    job_id = a_finished_job(service)
    job = service.services.store.jobs.get(job_id)
    assert job and job.raw
    eventually(lambda: checked(service, job_id), "the first check")
    raw = job.raw
    for each in raw["Operation"]["MediaResult"]["OutputFile"]["Md5Info"]:
        each["Md5"] = "0" * 32
    poll(service.services, raw)
    eventually(lambda: (checked(service, job_id) or {}).get("outputs_ok") is False, "the second check")
    (failure,) = eventually(lambda: failures(service), "the failure")
    assert "is another file" in failure["tries"][-1]["error"]


def test_cos_that_cannot_be_asked_says_nothing(start: Start) -> None:
    """``outputs_ok`` stays null, and the run is tried again."""
    service = start(check_outputs=True, ci_endpoint="http://127.0.0.1:9", trust_outputs="songs-1250000000")
    job_id, _ = tell(service.services)

    def tried() -> bool:
        runs = service.services.store.runs.of_job(job_id)
        return any(len(run.tries) > 1 for run in runs)

    eventually(tried, "a second try")
    assert checked(service, job_id) is None


def test_news_that_came_meanwhile_wins(services: Services) -> None:
    """A check of what the job no longer is changes nothing."""
    job_id, _ = tell(services)
    old = parse(body(job_id)).details[0].report
    new = parse(body(job_id, EndTime="2024-03-05T23:00:31+0800", Message="again")).details
    services.store.acceptor.accept(News(new, "poll", "confirmed", body=as_body(new)))
    assert not services.store.checks.note(old, {}, True)
    job = services.store.jobs.get(job_id)
    assert job and job.outputs_ok is None and job.version == 2


def test_a_check_is_heard_of_once(services: Services) -> None:
    """The same finding twice is one event, which runs no handlers."""
    trusting = {"trust_outputs": frozenset({"songs-1250000000"})}
    services = Services.open(services.settings.model_copy(update=trusting), timeout=5)
    job_id, _ = tell(services)
    report = parse(body(job_id)).details[0].report
    found = {"songs-1250000000/ap-chongqing/out/voice.mp3": (7, "e")}
    assert services.store.checks.note(report, found, False)
    assert not services.store.checks.note(report, found, False)
    posted = services.store.outbox.after("0-0", 10)
    assert [(each.event.kind, each.event.runs_handlers) for each in posted] == [
        ("callback", True),
        ("check", False),
    ]
    job = services.store.jobs.lean(posted[1].event)
    assert (job.outputs_ok, job.outputs[0].size, job.version) == (False, 7, 2)


def poll(services: Services, raw: dict[str, Any]) -> None:
    details = parse(json.dumps({"EventName": "TaskFinish", "JobsDetail": raw}).encode()).details
    services.store.acceptor.accept(News(details, "poll", "confirmed", body=as_body(details)))


def failures(service: Service) -> Any:
    return service.call("GET", "/v1/failures").json()["failures"]
