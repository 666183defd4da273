"""Outputs that CI reports are looked up at COS, and the result is kept in the record."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import requests

from app import create_app
from app.ci.incoming.payload import parse
from app.core.clock import now_ms
from app.services import Services
from app.store import News
from app.store.accept.news import as_body
from app.store.runs.run import run_id
from harness.servers import Emulator, Service, eventually
from tests.workers.conftest import Start
from tests.workers.news import body, tell
from workers.rq.queue import queue, send

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
    """The record gets size and ETag of each, and keeps the sizes after a later poll."""
    service = start(check_outputs=True)
    job_id = a_finished_job(service)
    job = eventually(lambda: checked(service, job_id), "the check")
    assert job["outputs_ok"] is True
    assert job["outputs"]
    assert all(each["size"] > 0 and each["etag"] for each in job["outputs"])
    # The record has the result before the run has ended.
    eventually(lambda: state_of(service, job_id, handler="check_outputs") == "done", "the end of the run")
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
            with urlopen(each["url"], timeout=60) as link:  # noqa: S310  Requests would fold the slashes
                assert len(link.read()) == each["size"]


def test_a_missing_output_is_a_failure(start: Start) -> None:
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


def test_an_output_with_another_md5_is_a_failure(start: Start) -> None:
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


def test_while_cos_is_unreachable_the_result_stays_open(start: Start) -> None:
    """``outputs_ok`` stays null, and the run is tried again."""
    service = start(check_outputs=True, ci_endpoint="http://127.0.0.1:9", trust_outputs="songs-1250000000")
    job_id, _ = tell(service.services)

    def tried() -> bool:
        runs = service.services.store.runs.of_job(job_id)
        return any(len(run.tries) > 1 for run in runs)

    eventually(tried, "a second try")
    assert checked(service, job_id) is None


def test_handlers_do_not_wait_for_cos(start: Start, emulator: Emulator, tmp_path: Path) -> None:
    """While COS hangs, and more checks are due than the only worker process could hold, another handler runs."""
    (tmp_path / "notes").touch()
    service = start(
        {"NOTES": str(tmp_path / "notes")},
        check_outputs=True,
        trust_outputs="songs-1250000000",
        handlers="tests.workers.some_handlers",
        worker_processes=1,
    )
    fault = {"kind": "hang", "on": "object_head", "seconds": 60}
    requests.post(f"{emulator.url}/_emulator/faults", json=fault, timeout=60).raise_for_status()
    try:
        checks = [tell(service.services)[0] for _ in range(4)]
        eventually(lambda: all(has_begun(service, each) for each in checks), "the checks to begin")
        quick, _ = tell(service.services, Tag="Quick")
        eventually(lambda: state_of(service, quick, handler="quick") == "done", "the other handler")
        # Each gets no answer in 10 s, and is tried again later.
        states = {state_of(service, each, handler="check_outputs") for each in checks}
        assert states <= {"running", "waiting"}
    finally:
        requests.delete(f"{emulator.url}/_emulator/faults", timeout=60)


def test_checks_that_earlier_releases_sent_to_workers_are_performed(start: Start) -> None:
    """Planned among the runs for workers: the relay moves them; a worker that gets one leaves it to the relay."""
    service = start(check_outputs=True, trust_outputs="songs-1250000000")
    store = service.services.store
    service.relay.stop()
    job_id, event_id = tell(service.services)
    (posted,) = [each for each in store.outbox.after("0-0", 100) if each.event.event_id == event_id]
    store.runs.plan([(posted.event, [("check_outputs", None)])])
    run = run_id(event_id, "check_outputs")
    store.db.client.zrem(store.db.key("lookups"), run)
    store.db.client.zadd(store.db.key("runs"), {run: 0})
    send(queue(service.settings, store.db.client), [[run]])
    service.relay.start()
    eventually(lambda: checked(service, job_id), "the check")
    assert store.db.client.zcard(store.db.key("runs")) == 0


def test_late_checks_are_reported(services: Services) -> None:
    """Their number and age are metrics; once one has been due for a minute, ``/readyz`` says so, and stays 200."""
    client = create_app(services.settings).test_client()
    store = services.store
    store.db.client.zadd(store.db.key("lookups"), {"e|check_outputs": now_ms() - 5000})
    assert client.get("/readyz").get_json()["parts"]["look_ups"] == "ok"
    store.db.client.zadd(store.db.key("lookups"), {"f|check_outputs": now_ms() - 90_000})
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert re.match(r"2 due, the oldest for (9\d|\d{3,}) s", ready.get_json()["parts"]["look_ups"])
    lines = client.get("/metrics").text.splitlines()
    assert 'ci_runs_due{kind="look-ups"} 2.0' in lines
    assert 'ci_runs_due{kind="handlers"} 0.0' in lines
    (age,) = [line for line in lines if line.startswith('ci_runs_due_age_seconds{kind="look-ups"}')]
    assert float(age.split()[-1]) >= 90


def test_a_check_of_an_older_report_is_dropped(services: Services) -> None:
    """The check changes nothing if newer news was stored meanwhile."""
    job_id, _ = tell(services)
    old = parse(body(job_id)).details[0].report
    new = parse(body(job_id, EndTime="2024-03-05T23:00:31+0800", Message="again")).details
    services.store.acceptor.accept(News(new, "poll", "confirmed", body=as_body(new)))
    assert not services.store.checks.note(old, {}, True)
    job = services.store.jobs.get(job_id)
    assert job and job.outputs_ok is None and job.version == 2


def test_listeners_get_a_check_once(services: Services) -> None:
    """The same result twice is one event, which runs no handlers."""
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


def state_of(service: Service, job_id: str, *, handler: str) -> str | None:
    runs = service.services.store.runs.of_job(job_id)
    return next((run.state for run in runs if run.handler == handler), None)


def has_begun(service: Service, job_id: str) -> bool:
    """Whether its check has been started at least once."""
    return any(run.state == "running" or run.tries for run in service.services.store.runs.of_job(job_id))


def failures(service: Service) -> Any:
    return service.call("GET", "/v1/failures").json()["failures"]
