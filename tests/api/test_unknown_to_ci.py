"""``refresh`` and ``cancel`` of a job that CI does not know: they say so, and so does the job's history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from flask.testing import FlaskClient

from app.settings import Settings
from app.store import Store
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey
from harness.settings import make_settings
from tests.api.contract.test_each_problem import SUBMISSION
from tests.api.stored import put


@pytest.fixture
def settings(valkey: Valkey, emulator: Emulator) -> Settings:
    ci = Emulated(emulator.url)
    return make_settings(valkey.url, ci_endpoint=ci.url, cos_bucket=ci.bucket)


@pytest.fixture
def invented(store: Store, settings: Settings) -> str:
    """A job that only a callback reported."""
    put(store, "j1", Input={"BucketId": settings.cos_bucket, "Object": "a.mp3", "Region": "ap-chongqing"})
    return "j1"


@pytest.mark.parametrize("what", ["refresh", "cancel"])
def test_the_answer_and_the_history_say_it(
    client: FlaskClient, key: dict[str, str], store: Store, invented: str, what: str
) -> None:
    """409 with what to do next; the history names who asked. The job is unchanged."""
    before = client.get(f"/v1/jobs/{invented}", headers=key).get_json()
    answer = client.post(f"/v1/jobs/{invented}/{what}", headers=key)
    problem = answer.get_json()
    assert (answer.status_code, problem["reason"]) == (409, "unknown_to_ci")
    assert "another bucket or region" in problem["detail"]
    assert client.get(f"/v1/jobs/{invented}", headers=key).get_json() == before
    history = client.get(f"/v1/jobs/{invented}/events", headers=key).get_json()["events"]
    assert {name: history[-1][name] for name in ("kind", "outcome", "by", "detail")} == {
        "kind": "poll", "outcome": "unknown", "by": "tests", "detail": "CI does not know this job."
    }  # fmt: skip
    (entry,), _ = store.audit.page(1)
    assert (entry.action, entry.did) == (f"jobs.{what}", {"done": 0, "error": "unknown_to_ci"})


@pytest.mark.parametrize("what", ["refresh", "cancel"])
def test_a_bulk_request_adds_it_to_the_history_of_each_job(
    client: FlaskClient, key: dict[str, str], store: Store, settings: Settings, what: str
) -> None:
    place = {"BucketId": settings.cos_bucket, "Object": "a.mp3", "Region": "ap-chongqing"}
    put(store, "j1", Input=place, State="Running", EndTime=None)
    answer = client.post(f"/v1/jobs/{what}", json={"all": True}, headers=key).get_json()
    assert answer["failed"] == [{"job_id": "j1", "why": "CI does not know this job."}]
    assert store.jobs.history("j1")[0][-1]["outcome"] == "unknown"


@pytest.fixture
def long_queue(emulator: Emulator) -> Iterator[None]:
    """Jobs wait for ten minutes before they start."""
    requests.patch(f"{emulator.url}/_emulator/settings", json={"queue_seconds": 600}, timeout=10)
    yield
    requests.post(f"{emulator.url}/_emulator/reset", timeout=10)


@pytest.mark.usefixtures("long_queue")
def test_a_cancel_of_many_says_what_was_cancelled_although_ci_goes_away(
    client: FlaskClient, key: dict[str, str], store: Store, settings: Settings
) -> None:
    """CI cannot be asked for the job's state at that moment, so it is asked later."""
    ci = Emulated(str(settings.ci_endpoint), settings.cos_bucket)
    assert client.post("/v1/jobs", json=SUBMISSION, headers=key).status_code == 201
    ci.fault("error", on="describe", code="SlowDown", status=429)
    answer = client.post("/v1/jobs/cancel", json={"all": True}, headers=key)
    assert (answer.status_code, answer.get_json()["done"]) == (200, 1)
    assert store.due.size() == 1


def test_a_cancel_that_ci_refuses_is_still_a_refusal(
    client: FlaskClient, key: dict[str, str], store: Store, invented: str, settings: Settings
) -> None:
    """CI's own error where CI knows the job, or cannot be asked whether it does."""
    ci = Emulated(str(settings.ci_endpoint), settings.cos_bucket)
    ci.fault("error", on="any", code="AccessDenied", status=403)
    answer = client.post(f"/v1/jobs/{invented}/cancel", headers=key)
    assert (answer.status_code, answer.get_json()["reason"]) == (502, "ci_refused")
    assert len(store.jobs.history(invented)[0]) == 1


def test_repeated_questions_fill_at_most_half_of_a_history(store: Store, invented: str) -> None:
    """The other half is left for entries that change the job."""
    for _ in range(500):
        store.due.note_unknown(invented, "tests")
    entries, count = store.jobs.history(invented)
    assert (len(entries), count) == (100, 501)
