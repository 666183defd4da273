"""With ``confirm`` a callback only makes us ask CI, and CI's own answer sets the state."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.core.tokens import Binding, mint
from harness.servers import Emulator, Service, Valkey, eventually, free_port
from harness.settings import make_settings
from tests.ci import samples
from tests.e2e.test_loop import REQUEST
from tests.receiver.callbacks import a_token, body_of, post


@pytest.fixture(scope="module")
def confirming(
    valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The whole service with ``confirm``, and a bucket of its own at the emulator."""
    port = free_port()
    settings = make_settings(
        valkey.url,
        public_url=f"http://127.0.0.1:{port}",
        ci_endpoint=emulator.url,
        verify="token,binding,confirm",
        cos_bucket=f"t{secrets.token_hex(4)}-1250000000",
    )
    with Service(settings, port, tmp_path_factory.mktemp("confirming")) as running:
        yield running


@pytest.fixture
def ci(confirming: Service) -> Iterator[Any]:
    """Arms faults of the emulator for this bucket, and removes them after the test."""
    url = f"{confirming.settings.ci_endpoint}/_emulator/faults"
    armed = []

    def arm(kind: str, **more: object) -> None:
        spec = {"kind": kind, "bucket": confirming.settings.cos_bucket, **more}
        answer = requests.post(url, json=spec, timeout=10)
        assert answer.status_code == 201, answer.text
        armed.append(answer.json()["id"])

    def disarm() -> None:
        while armed:
            requests.delete(f"{url}/{armed.pop()}", timeout=10)

    arm.disarm = disarm  # type: ignore[attr-defined]
    yield arm
    disarm()


def job(service: Service, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.call("GET", f"/v1/jobs/{job_id}").json()
    return found


def history(service: Service, job_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"]
    return events


def forge(service: Service, submitted: dict[str, Any], **claims: object) -> int:
    """Post a callback with the submission's own token, as anyone who has seen the URL could."""
    token = mint(Binding(submission=submitted["submission"]["id"]), service.settings.callback_keys)
    detail = samples.voice_separate(
        JobId=submitted["job_id"], Input={"BucketId": service.settings.cos_bucket}, Operation={}, **claims
    )
    return post(service.url, token, body_of(detail)).status_code


def test_a_true_callback_is_confirmed(confirming: Service) -> None:
    """The state changes when CI has answered; the handler runs once; the history says how each entry was verified."""
    job_id = confirming.call("POST", "/v1/jobs", json=REQUEST).json()["job_id"]
    done = confirming.ended(job_id)
    assert (done["state"], done["source"], done["verification"]) == ("Success", "poll", "confirmed")
    entries = history(confirming, job_id)
    callback = next(entry for entry in entries if entry["kind"] == "callback")
    assert callback["verification"] == "unconfirmed"
    assert callback["verified"] == ["token", "binding"]
    assert callback["runs"] == []
    poll = next(entry for entry in entries if entry["kind"] == "poll" and entry["state"] == "Success")
    assert poll["verification"] == "confirmed"

    def handled() -> bool:
        runs = [(e["kind"], run) for e in history(confirming, job_id) for run in e["runs"]]
        ours = [(kind, run["state"]) for kind, run in runs if run["handler"] == "workers.handlers.log_end"]
        return ours == [("poll", "done")]

    eventually(handled, "the handler to have run once, for CI's own answer")


def test_a_forged_success_of_a_failed_job_is_failed(confirming: Service, ci: Any) -> None:
    """The job is Failed, as CI says, and no handler ran for a success."""
    ci("fail", code="NoSuchAudio", message="no audio in it", times=1)
    ci("lose", times=1)
    submitted = confirming.call("POST", "/v1/jobs", json=REQUEST).json()
    assert forge(confirming, submitted) == 200
    ended = confirming.ended(submitted["job_id"])
    assert (ended["state"], ended["code"]) == ("Failed", "NoSuchAudio")
    assert (ended["source"], ended["verification"]) == ("poll", "confirmed")

    def ran() -> list[str]:
        return [e["state"] for e in history(confirming, submitted["job_id"]) if e["runs"]]

    eventually(ran, "the handler of the end to run")
    assert ran() == ["Failed"]


def test_a_forged_job_never_has_a_state(confirming: Service) -> None:
    """CI does not know the job: it has no state, is unconfirmed, and no handler runs."""
    detail = samples.voice_separate(JobId="jforged", Input={"BucketId": confirming.settings.cos_bucket})
    assert post(confirming.url, a_token(confirming.settings), body_of(detail)).status_code == 200
    asked = confirming.services.store.due
    eventually(lambda: asked.asked("jforged") >= 1, "CI to be asked")
    forged = job(confirming, "jforged")
    assert (forged["state"], forged["terminal"], forged["outputs"]) == (None, False, [])
    assert forged["verification"] == "unconfirmed"
    entries = history(confirming, "jforged")
    assert entries and all(entry["runs"] == [] for entry in entries)


def test_while_ci_is_away_a_job_stays_unconfirmed(confirming: Service, ci: Any) -> None:
    """CI is asked again until it answers, and its answer confirms the job."""
    # Before the submission: CI may call back, and be asked, before the test goes on.
    ci("error", code="InternalError", status=500, on="describe")
    submitted = confirming.call("POST", "/v1/jobs", json=REQUEST).json()
    job_id = submitted["job_id"]
    done = eventually(
        lambda: next((e for e in history(confirming, job_id) if e["kind"] == "callback"), None),
        "the callback",
    )
    assert done["outcome"] == "accepted"
    asked = confirming.services.store.due
    before = asked.asked(job_id)
    eventually(lambda: asked.asked(job_id) > before, "CI to be asked again")
    waiting = job(confirming, job_id)
    assert (waiting["state"], waiting["terminal"], waiting["verification"]) == (
        "Submitted",
        False,
        "unconfirmed",
    )
    ci.disarm()
    ended = eventually(lambda: (found := job(confirming, job_id))["terminal"] and found, "CI's answer")
    assert (ended["state"], ended["verification"]) == ("Success", "confirmed")


def test_a_callback_before_the_submit_answer(confirming: Service, ci: Any) -> None:
    """CI calls back about the end before it answers the submission: the job has its submission and is confirmed."""
    ci("early", times=1)
    submitted = confirming.call("POST", "/v1/jobs", json=REQUEST)
    assert submitted.status_code == 201
    ended = confirming.ended(submitted.json()["job_id"])
    assert (ended["state"], ended["verification"]) == ("Success", "confirmed")
    assert ended["submission"]["id"]


def test_early_callbacks_race_with_their_answers(service: Service) -> None:
    """Without ``confirm``: ten jobs whose callback arrives before the answer are Success, each with its submission."""
    url = f"{service.settings.ci_endpoint}/_emulator/faults"
    fault = requests.post(url, json={"kind": "early"}, timeout=10).json()["id"]
    try:
        made = [service.call("POST", "/v1/jobs", json=REQUEST).json() for _ in range(10)]
    finally:
        requests.delete(f"{url}/{fault}", timeout=10)
    assert len({each["job_id"] for each in made}) == 10
    for each in made:
        assert each["state"] == "Success", "what the callback said was known before the answer"
        found = job(service, each["job_id"])
        submission = service.call("GET", f"/v1/submissions/{found['submission']['id']}").json()
        assert (submission["status"], submission["job_ids"]) == ("submitted", [each["job_id"]])
        kinds = [entry["kind"] for entry in history(service, each["job_id"]) if entry["kind"] != "check"]
        assert kinds == ["callback", "submit"]
