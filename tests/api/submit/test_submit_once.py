"""Idempotency-Key: the same request is sent to CI once, also after lost answers and crashes."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.api import idempotency
from app.core.clock import now_ms
from app.services import Services
from app.settings import Settings
from app.store import Store
from app.submitter import Submitter
from harness.emulated import Emulated
from harness.servers import eventually
from tests.api.submit.conftest import REQUEST


class Killed(BaseException):
    """Stands for SIGKILL: no code of ours runs after it."""


def test_the_first_answer_comes_again(post: Any, ci: Emulated) -> None:
    """The same key and body, the same answer; CI has one job."""
    first = post(REQUEST, Idempotency_Key="k")
    again = post(REQUEST, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ci.statuses() == [200]


def test_a_lost_answer_is_answered_again_and_not_sent_again(post: Any, ci: Emulated) -> None:
    """202 is an answer too: repeating it must not pay twice."""
    ci.fault("lost_answer", on="submit", times=1)
    first = post(REQUEST, Idempotency_Key="k")
    again = post(REQUEST, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_json() == first.get_json()
    assert ci.statuses() == [0]


def test_a_refusal_may_be_tried_again(post: Any, ci: Emulated) -> None:
    """CI refused, so it has no job: the same key works once the cause is fixed."""
    ci.fault("error", on="submit", code="CIRoleNotExist", status=400, times=1)
    assert post(REQUEST, Idempotency_Key="k").status_code == 502
    assert post(REQUEST, Idempotency_Key="k").status_code == 201
    assert ci.statuses() == [400, 200]


def test_another_body_is_a_mismatch(post: Any, ci: Emulated) -> None:
    """422, and nothing more is sent."""
    post(REQUEST, Idempotency_Key="k")
    other = post(REQUEST | {"user_data": "other"}, Idempotency_Key="k")
    assert (other.status_code, other.get_json()["reason"]) == (422, "idempotency_mismatch")
    assert ci.statuses() == [200]


def test_keys_of_different_callers_are_different(
    post: Any,
    client: FlaskClient,
    store: Store,
    ci: Emulated,
) -> None:
    """A key belongs to the API key that sent it."""
    post(REQUEST, Idempotency_Key="k")
    other = {"Authorization": f"Bearer {store.api_keys.create('other', frozenset(['submit']))}"}
    answer = client.post("/v1/jobs", json=REQUEST, headers=other | {"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert ci.statuses() == [200, 200]


def test_one_in_flight_is_a_conflict_for_another_process(
    settings: Settings,
    store: Store,
    key: dict[str, str],
    ci: Emulated,
) -> None:
    """409 from a second application with the same store, while the first waits for CI; then its answer."""
    ci.fault("slow", on="submit", seconds=4, times=1)
    headers = key | {"Idempotency-Key": "k"}
    one, other = create_app(settings).test_client(), create_app(settings).test_client()
    first: list[Any] = []

    def send() -> None:
        first.append(one.post("/v1/jobs", json=REQUEST, headers=headers))

    thread = threading.Thread(target=send)
    thread.start()
    eventually(store.submissions.unanswered, "the first to have stored its submission")
    busy = other.post("/v1/jobs", json=REQUEST, headers=headers)
    thread.join()
    assert (busy.status_code, busy.get_json()["reason"]) == (409, "idempotency_in_flight")
    assert int(busy.headers["Retry-After"]) > 0
    again = other.post("/v1/jobs", json=REQUEST, headers=headers)
    assert again.status_code == 201
    assert len(first) == 1
    assert again.get_json()["job_id"] == first[0].get_json()["job_id"]
    assert ci.statuses() == [200], "sent exactly once"


CRASHES = {
    "before it is stored": [],
    "before it is sent": [],
    "after CI has it": [200],
    "after the answer is stored": [200],
}


def crash(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Let the process die at that line, and nothing after it run."""

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    if where == "before it is stored":
        monkeypatch.setattr(Submitter, "_store", die)
    elif where == "before it is sent":
        monkeypatch.setattr(Submitter, "_ask_ci", die)
    elif where == "after CI has it":
        monkeypatch.setattr(Submitter, "_bind", die)
    else:
        monkeypatch.setattr(idempotency, "_kept", die)


@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_in_the_middle_never_sends_twice(
    where: str,
    post: Any,
    ci: Emulated,
    monkeypatch: pytest.MonkeyPatch,
    services: Services,
) -> None:
    """The repeat gets 409 while the first process may be alive; later the answer of its submission."""
    with monkeypatch.context() as dying:
        crash(dying, where)
        with pytest.raises(Killed):
            post(REQUEST, Idempotency_Key="k")
    sent = CRASHES[where]
    assert ci.statuses() == sent
    soon = post(REQUEST, Idempotency_Key="k")
    assert soon.status_code == (201 if where == "after the answer is stored" else 409), soon.text
    monkeypatch.setattr(idempotency, "_IN_FLIGHT_S", 0)
    later = post(REQUEST, Idempotency_Key="k")
    if where == "before it is stored":
        assert later.status_code == 201, "nothing was stored, so nothing was sent: it is done now"
        assert ci.statuses() == [200]
        return
    assert later.status_code == (201 if where == "after the answer is stored" else 202)
    assert ci.statuses() == sent, "never sent again"
    document = later.get_json()
    submission = document["submission"]["id"] if later.status_code == 201 else document["id"]
    kept = services.store.submissions.get(submission)
    assert kept is not None
    if later.status_code == 202:
        assert kept.status == "sending"
        assert submission in services.store.submissions.unanswered(), "the relay looks for it"


def test_simultaneous_repeats_after_a_crash_send_once(
    settings: Settings,
    key: dict[str, str],
    ci: Emulated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six clients repeat a request whose process died before it stored anything: one of them sends it."""
    app = create_app(settings)
    headers = key | {"Idempotency-Key": "k"}
    with monkeypatch.context() as dying:
        crash(dying, "before it is stored")
        dying.setattr(idempotency, "now_ms", lambda: now_ms() - 1000 * (1 + idempotency._IN_FLIGHT_S))
        with pytest.raises(Killed):
            app.test_client().post("/v1/jobs", json=REQUEST, headers=headers)
    answers: list[int] = []
    barrier = threading.Barrier(6)

    def repeat() -> None:
        client = app.test_client()
        barrier.wait()
        answers.append(client.post("/v1/jobs", json=REQUEST, headers=headers).status_code)

    threads = [threading.Thread(target=repeat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert ci.statuses() == [200], "sent exactly once"


def test_a_killed_web_process_leaves_a_submission_and_no_second_job(service: Any) -> None:
    """kill -9 of the real web process while CI holds the request: no repeat sends anything to CI. A repeat gets 409
    while the first process may be alive, 202 while the relay searches, and then 201 with the one job that CI has."""
    emulated = Emulated(service.settings.ci_endpoint, service.settings.cos_bucket)
    store = service.services.store
    marked = REQUEST | {"user_data": f"kill-{time.time_ns()}"}
    emulated.fault("slow", on="submit", seconds=3, times=1)
    began = time.monotonic()
    thread = threading.Thread(target=lambda: _ignoring(service, marked), daemon=True)
    thread.start()
    (submission,) = eventually(store.submissions.unanswered, "the submission to be stored")
    eventually(lambda: emulated.struck("slow"), "CI to hold the request")
    service.web.clear()
    kept = store.submissions.get(submission)
    assert kept is not None and kept.status == "sending"
    assert kept.facts["operations"][0]["user_data"] == marked["user_data"]
    service.restart_web()

    def repeat() -> Any:
        """The answer to a repeat: one that our record of the submission allows as it was just before or just after."""
        before = store.submissions.get(submission)
        answer = service.call("POST", "/v1/jobs", json=marked, headers={"Idempotency-Key": "killed"})
        after = store.submissions.get(submission)
        is_old = time.monotonic() - began > idempotency._IN_FLIGHT_S
        allows = {"sending": {409, 202} if is_old else {409}, "lost": {202}, "submitted": {201}}
        assert before is not None and after is not None
        assert answer.status_code in allows[before.status] | allows[after.status], answer.text
        return answer

    first = repeat()
    if first.status_code == 409:
        assert first.json()["reason"] == "idempotency_in_flight"
        assert int(first.headers["Retry-After"]) > 0
    elif first.status_code == 202:
        assert first.json()["id"] == submission

    def found() -> Any:
        store.submissions.look_again(submission, 0)
        answer = repeat()
        return answer if answer.status_code == 201 else None

    last = eventually(found, "the relay to find the job at CI")
    page = service.services.provider.list_jobs(emulated.bucket, service.settings.cos_region, "VoiceSeparate")
    jobs = [each.report.job_id for each in page.details if each.report.user_data == marked["user_data"]]
    assert jobs == [last.json()["job_id"]], "CI has one job"
    assert last.json()["submission"]["id"] == submission
    kept = store.submissions.get(submission)
    assert kept is not None and (kept.status, kept.job_ids) == ("submitted", tuple(jobs))
    bodies = [json.dumps(one["full"]["body"]) for one in emulated.requests()]
    assert sum(marked["user_data"] in body for body in bodies) == 1, "sent exactly once"


def _ignoring(service: Any, marked: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        service.call("POST", "/v1/jobs", json=marked, headers={"Idempotency-Key": "killed"})
