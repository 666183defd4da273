"""The whole loop, as real processes: submit, run, call back, store, handle, look up."""

from __future__ import annotations

import requests

from harness.servers import Service, eventually

REQUEST = {
    "input": {"object": "input/demo.mp3"},
    "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
    "output": {"object": "out/background.${ext}", "au_object": "out/${jobid}/vocals.${ext}"},
    "user_data": "order-42",
}


def test_a_job_is_submitted_called_back_and_handled(service: Service) -> None:
    """A submitted job ends by its callback; its outputs have roles, links and sizes, and its handlers have run."""
    answer = service.call("POST", "/v1/jobs", json=REQUEST)
    assert answer.status_code == 201, answer.text
    job_id = answer.json()["job_id"]
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"

    job = service.ended(job_id)
    assert job["state"] == "Success"
    assert {output["role"]: output["object"] for output in job["outputs"]} == {
        "background": "out/background.mp3",
        "vocals": f"out/{job_id}/vocals.mp3",
    }
    assert (job["source"], job["verification"]) == ("callback", "token")
    assert job["user_data"] == "order-42"
    for output in job["outputs"]:
        assert requests.get(output["url"], timeout=10).ok, "a presigned link works"

    def handled() -> bool:
        events = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"]
        states = {run["handler"]: run["state"] for event in events for run in event["runs"]}
        return states == {"workers.handlers.log_end": "done", "check_outputs": "done"}

    eventually(handled, "the handlers' runs to be done")
    job = service.call("GET", f"/v1/jobs/{job_id}").json()
    assert job["outputs_ok"] is True
    assert all(output["size"] and output["etag"] == output["md5"] for output in job["outputs"])


def test_a_waiting_client_is_answered_when_the_job_ends(service: Service) -> None:
    """``?wait=`` answers as soon as the job has ended, not when the time is up."""
    job_id = service.call("POST", "/v1/jobs", json=REQUEST).json()["job_id"]
    answer = service.call("GET", f"/v1/jobs/{job_id}?wait=60")
    assert answer.json()["terminal"]
    assert answer.elapsed.total_seconds() < 50


def test_a_wait_for_an_unknown_job_is_answered_at_once(service: Service) -> None:
    """An unknown job is a 404, however long ``?wait=`` is."""
    answer = service.call("GET", "/v1/jobs/jnone?wait=60")
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    assert answer.elapsed.total_seconds() < 20
