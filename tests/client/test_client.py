"""The client against the running service: submit, wait, get, list, replay, and what it raises."""

from __future__ import annotations

import secrets
import threading

import pytest
from ci_receiver_client import Client, Filters, NotEnded, Problem, UnexpectedAnswer, Unreachable

from harness.emulated import Emulated
from harness.servers import Emulator, Service, eventually, free_port
from tests.client.conftest import REQUEST
from tests.workers.news import tell


def test_a_job_goes_the_whole_way(receiver: Client) -> None:
    """Submitted with a label, waited for until its end; its outputs are typed, and their links open."""
    job_id = receiver.submit(REQUEST | {"labels": {"show": "news"}}).job.job_id
    job = receiver.wait(job_id, timeout=100)
    assert (job.state, job.terminal, job.labels) == ("Success", True, {"show": "news"})
    assert {output.role: output.object for output in job.outputs} == {
        "background": "out/background.mp3",
        "vocals": f"out/{job_id}/vocals.mp3",
    }
    assert all(output.url for output in job.outputs)
    assert job.input is not None and job.input.object == "input/demo.mp3"
    assert job.submission is not None
    assert receiver.submission(job.submission.id).job_ids == (job_id,)


def test_the_same_key_submits_once(receiver: Client) -> None:
    """And the same key with another request is a problem with its reason."""
    key = secrets.token_hex(8)
    first = receiver.submit(REQUEST, idempotency_key=key)
    assert receiver.submit(REQUEST, idempotency_key=key).job.job_id == first.job.job_id
    with pytest.raises(Problem) as raised:
        receiver.submit(REQUEST | {"user_data": "other"}, idempotency_key=key)
    assert (raised.value.reason, raised.value.status) == ("idempotency_mismatch", 422)


def test_several_operations_are_several_jobs(receiver: Client) -> None:
    """``job`` would hide all but one, so it is refused."""
    operation = {name: REQUEST[name] for name in ("voice_separate", "output")}
    receipt = receiver.submit({"input": REQUEST["input"], "operations": [operation, operation]})
    assert len({job.job_id for job in receipt.jobs}) == 2
    with pytest.raises(ValueError, match="2 jobs"):
        _ = receipt.job


def test_an_answer_of_ci_that_is_lost_is_a_submission(receiver: Client, emulator: Emulator) -> None:
    """There is no job yet; its status is looked up by its id."""
    ci = Emulated(emulator.url)
    ci.fault("lost_answer", on="submit", times=1)
    receipt = receiver.submit(REQUEST | {"input": {"object": "input/demo.mp3", "bucket": ci.bucket}})
    assert receipt.submission is not None and receipt.submission.status == "lost"
    with pytest.raises(ValueError, match="0 jobs"):
        _ = receipt.job
    assert receiver.submission(receipt.submission.id).bucket == ci.bucket


def test_a_broken_rule_is_named(receiver: Client) -> None:
    """``errors`` has each of them."""
    with pytest.raises(Problem) as raised:
        receiver.submit({"input": {"object": "x"}, "output": {"object": "y"}, "job_level": 7})
    assert raised.value.reason == "invalid_request"
    assert "job_level" in {error["field"] for error in raised.value.errors}


def test_all_pages_are_listed(receiver: Client, running: Service) -> None:
    """Each job once, whatever the size of a page; only those that match."""
    mark = secrets.token_hex(8)
    reported = {tell(running.services, Tag=mark)[0] for _ in range(7)}
    tell(running.services, Tag=f"{mark}-other")
    found = [job.job_id for job in receiver.jobs(Filters(tag=mark), page_size=3)]
    assert len(found) == 7
    assert set(found) == reported
    assert not list(receiver.jobs(Filters(tag=mark, state="Failed", created_after="2020-01-01T00:00:00Z")))


def test_a_label_is_a_filter(receiver: Client) -> None:
    """Exactly the jobs with that value."""
    mark = secrets.token_hex(8)
    job_id = receiver.submit(REQUEST | {"labels": {"batch": mark}}).job.job_id
    receiver.submit(REQUEST | {"labels": {"batch": f"{mark}x"}})
    assert [job.job_id for job in receiver.jobs(Filters(labels={"batch": mark}))] == [job_id]


def test_a_replay_is_an_event_of_its_own(receiver: Client, running: Service) -> None:
    """For all, or for one handler; a handler that is not declared is refused."""
    job_id, event_id = tell(running.services)
    replay = receiver.replay(job_id, handler="workers.handlers.log_end")
    assert (replay.job_id, replay.replay_of) == (job_id, event_id)
    assert replay.event_id != event_id


def test_an_unknown_job_is_a_problem_at_once(receiver: Client) -> None:
    """``wait`` too does not go on asking for it; an id cannot lead to another path."""
    for call in (receiver.get, receiver.wait):
        for job_id in ("jnone", "../jobs", "a?b"):
            with pytest.raises(Problem) as raised:
                call(job_id)
            assert (raised.value.reason, raised.value.status) == ("not_found", 404)


def test_the_wait_ends_with_the_job_as_it_is(receiver: Client, running: Service) -> None:
    """It is a ``TimeoutError`` too, and has the job."""
    job_id, _ = tell(running.services, "Running", EndTime=None)
    with pytest.raises(TimeoutError) as raised:
        receiver.wait(job_id, timeout=0.5)
    assert isinstance(raised.value, NotEnded)
    assert raised.value.job is not None and raised.value.job.state == "Running"


def test_a_wait_hears_of_the_end(receiver: Client, running: Service) -> None:
    """Of a job that CI reports meanwhile."""
    job_id, _ = tell(running.services, "Running", EndTime=None)
    states: list[str | None] = []
    waiting = threading.Thread(target=lambda: states.append(receiver.wait(job_id, timeout=100).state))
    waiting.start()
    tell(running.services, "Failed", job_id, Code="InternalError")
    waiting.join(100)
    assert states == ["Failed"]


def test_a_key_that_may_not(running: Service) -> None:
    """A wrong key, and one without the scope; the key is in no error."""
    reader = running.services.store.api_keys.create(f"r{secrets.token_hex(4)}", frozenset({"read"}))
    with Client(running.url, reader) as client, pytest.raises(Problem) as raised:
        client.submit(REQUEST)
    assert raised.value.reason == "forbidden"
    assert reader not in f"{raised.value!r} {client!r} {vars(raised.value)}"


def test_no_service_is_unreachable() -> None:
    """A wait gives it time to come back."""
    with Client(f"http://127.0.0.1:{free_port()}", "key") as client:
        with pytest.raises(Unreachable, match="check the URL"):
            client.get("j1")
        with pytest.raises(NotEnded, match="no answer"):
            client.wait("j1", timeout=0.3)


def test_another_server_is_not_taken_for_the_service(emulator: Emulator) -> None:
    """What answers at a wrong address is no document of ours, also with status 200."""
    with Client(emulator.url, "key") as client, pytest.raises(UnexpectedAnswer):
        client.get("j1")
    with Client(f"{emulator.url}/_emulator/health#", "key") as client, pytest.raises(UnexpectedAnswer):
        client.get("j1")


def test_a_url_with_a_path(receiver: Client, running: Service) -> None:
    """As of a service behind a prefix; a trailing slash is no part of it."""
    job_id, _ = tell(running.services)
    with Client(f"{running.url}/", running.key) as client:
        assert eventually(lambda: client.get(job_id), "the job").job_id == receiver.get(job_id).job_id
