"""Forwarding, by real processes, to a receiver that verifies with the library of Standard Webhooks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

from app.services import Services
from harness.downstream import OLD_KEY, Delivery, Downstream, Reply
from harness.servers import Service, eventually
from tests.workers.conftest import Start
from tests.workers.forward.clock import pauses_end
from tests.workers.news import tell

_HOUR_S = 3600


def runs(service: Service, job_id: str) -> list[dict[str, Any]]:
    """The runs of a job's newest entry, as the API shows them."""
    answer = service.call("GET", f"/v1/jobs/{job_id}/events").json()
    found: list[dict[str, Any]] = answer["events"][-1]["runs"]
    return [run for run in found if run["handler"] == "forward"]


def state_of(service: Service, job_id: str) -> Any:
    (run,) = runs(service, job_id) or [{"state": None}]
    return run["state"]


def test_an_event_arrives_signed_as_a_cloud_event(start_relay: Start, downstream: Downstream) -> None:
    """A delivery is a CloudEvent 1.0 in structured JSON with the headers of Standard Webhooks, which their own
    libraries can read. It has a signature for each of two keys."""
    service = start_relay(forward_urls=f"{downstream.url}/hook")
    job_id, event_id = tell(service.services)
    (got,) = eventually(lambda: downstream.on("/hook"), "the delivery")

    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["webhook-id"] == event_id
    first, second = got.headers["webhook-signature"].split(" ")
    assert first.startswith("v1,") and second.startswith("v1,") and first != second
    raw = JSONFormat().read(None, to_bytes(got.event))
    assert (raw.get_id(), raw.get_subject(), raw.get_type()) == (event_id, job_id, "ci.job.success")
    assert raw.get_source() == service.url
    data: Any = raw.get_data()
    assert (data["event_id"], data["kind"], data["job"]["state"]) == (event_id, "callback", "Success")
    assert data["job"]["outputs"][0]["object"] == "out/voice.mp3"
    assert {run["state"] for run in eventually(lambda: done(service, job_id), "the run to be done")} == {
        "done"
    }


def test_the_holder_of_the_old_key_verifies_too(start_relay: Start) -> None:
    """A receiver that has only the old key verifies the delivery."""
    with Downstream(OLD_KEY) as downstream:
        service = start_relay(forward_urls=f"{downstream.url}/hook")
        tell(service.services)
        eventually(lambda: downstream.on("/hook"), "the delivery")
        assert not downstream.unverified


def test_each_endpoint_gets_what_it_wants(start_relay: Start, downstream: Downstream) -> None:
    """Filters are by tag, state and bucket; a repeated filter matches any of its values."""
    url = downstream.url
    service = start_relay(
        forward_urls=",".join(
            (
                f"{url}/failed#state=Failed",
                f"{url}/ended#state=Failed&state=Success&tag=VoiceSeparate&name=ends",
                f"{url}/elsewhere#bucket=other-1250000000",
                f"{url}/bucket#bucket=songs-1250000000",
            )
        )
    )
    tell(service.services, "Success")
    tell(service.services, "Failed")
    tell(service.services, "Running", EndTime=None)
    eventually(lambda: len(downstream.on("/bucket")) == 3, "all three at the one that wants all")
    eventually(lambda: len(downstream.on("/ended")) == 2, "the two that ended")
    failed = eventually(lambda: downstream.on("/failed"), "the one that failed")
    assert [each.event["data"]["job"]["state"] for each in failed] == ["Failed"]
    assert not downstream.on("/elsewhere")


def test_an_endpoint_that_hangs_delays_no_other(start_background: Start, downstream: Downstream) -> None:
    """Another endpoint and handlers go on; the endpoint that hangs is paused, and gets one delivery at a time."""
    downstream.behaviours["/hangs"] = lambda *_: Reply(seconds=60)
    service = start_background(
        handlers="workers.handlers",
        forward_urls=f"{downstream.url}/hangs,{downstream.url}/fine",
        forward_timeout="5s",
    )
    jobs, events = zip(*(tell(service.services) for _ in range(60)), strict=True)
    # If the others waited for the silent one, 60 deliveries of 5 s each, four at a time, would take over a minute.
    # An answer that takes over 5 s on a busy machine means a second delivery with the same id.
    eventually(lambda: ids(downstream, "/fine") == set(events), "all sixty at the endpoint that works")
    eventually(lambda: handled(service, jobs), "all handlers to have run")
    state = eventually(lambda: paused(service, "/hangs"), "the silent endpoint to be paused")
    assert state["failures_in_a_row"] >= 3
    assert state["waiting"] > 0
    taken = service.services.store.deliveries.take(f"{downstream.url}/hangs", 60, 0)
    assert len(taken) <= 1, "it is not hammered: one at a time, to see"


def test_an_endpoint_that_comes_back_gets_everything(start_relay: Start, downstream: Downstream) -> None:
    """Every event is delivered, although the endpoint answers three of four requests with 500."""
    downstream.behaviours["/flaps"] = lambda _, before: Reply(500 if before % 4 != 3 else 204)
    service = start_relay(forward_urls=f"{downstream.url}/flaps", forward_backoff="0.1s")
    jobs = [tell(service.services)[0] for _ in range(5)]
    eventually(lambda: all(state_of(service, job) == "done" for job in jobs), "all five delivered")
    (run,) = runs(service, jobs[0])
    assert run["tries"][-1]["error"] is None
    assert run["tries"][-1]["status"] == 204


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(start_relay: Start, downstream: Downstream, form: str) -> None:
    """In both of its forms, and for the whole endpoint: later events wait as well."""

    def full_at_first(_: Delivery, before: int) -> Reply:
        when = str(_HOUR_S) if form == "seconds" else formatdate(time.time() + _HOUR_S, usegmt=True)
        return Reply() if before else Reply(429, {"Retry-After": when})

    downstream.behaviours["/full"] = full_at_first
    service = start_relay(forward_urls=f"{downstream.url}/full")
    store, name = service.services.store, f"{downstream.url}/full"
    first, _ = tell(service.services)
    # Requests to one endpoint overlap: the pause holds from when it is stored, not from when it was answered.
    until = eventually(lambda: paused(service, "/full"), "the pause")["paused_until"]
    assert _HOUR_S / 2 < (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds() <= _HOUR_S + 1
    second, _ = tell(service.services)
    eventually(lambda: state_of(service, second) == "waiting", "the second event to wait")
    assert store.deliveries.take(name, 2, 0) == [], "no relay gets anything for it"
    assert len(downstream.on("/full")) == 1
    pauses_end(store, name)
    eventually(
        lambda: [state_of(service, each) for each in (first, second)] == ["done", "done"], "both delivered"
    )
    assert len(downstream.on("/full")) == 3


def test_410_is_a_failure_after_one_try(start_relay: Start, downstream: Downstream) -> None:
    """The only try shows status and answer."""
    downstream.behaviours["/gone"] = lambda *_: Reply(410, body=b"no such customer")
    service = start_relay(forward_urls=f"{downstream.url}/gone")
    job_id, _ = tell(service.services)
    eventually(lambda: state_of(service, job_id) == "failed", "the failure")
    (run,) = runs(service, job_id)
    assert [t["status"] for t in run["tries"]] == [410]
    assert run["tries"][0]["answer"] == "no such customer"


def test_redirects_are_not_followed(start_relay: Start, downstream: Downstream) -> None:
    """A redirect is an error of that try, and its target gets no request."""
    downstream.behaviours["/moved"] = lambda *_: Reply(307, {"Location": f"{downstream.url}/secret"})
    service = start_relay(forward_urls=f"{downstream.url}/moved", forward_tries=2, forward_backoff="0.1s")
    job_id, _ = tell(service.services)
    eventually(lambda: state_of(service, job_id) == "failed", "the failure")
    assert not downstream.on("/secret")
    assert "redirects are not followed" in runs(service, job_id)[0]["tries"][0]["error"]


@pytest.mark.parametrize(
    ("reply", "allowed", "said"),
    [
        (Reply(410), "127.0.0.0/8", "answered 410"),
        (Reply(307, {"Location": "/x"}), "127.0.0.0/8", "redirects are not followed"),
        (Reply(400), "127.0.0.0/8", "answered 400"),
        (Reply(), "10.0.0.0/8", "FORWARD_ALLOW_PRIVATE"),
    ],
    ids=["410", "redirect", "400", "blocked"],
)
def test_an_endpoint_that_accepts_nothing_shows_why(
    start_relay: Start, downstream: Downstream, reply: Reply, allowed: str, said: str
) -> None:
    """The endpoint shows its last error, the time, and the failures in a row; it is not paused."""
    downstream.behaviours["/no"] = lambda *_: reply
    service = start_relay(
        forward_urls=f"{downstream.url}/no",
        forward_allow_private=allowed,
        forward_tries=2,
        forward_backoff="0.1s",
    )
    jobs = [tell(service.services)[0] for _ in range(4)]
    eventually(lambda: all(state_of(service, job) == "failed" for job in jobs), "the failures")
    # Each try ends first, and is counted for the endpoint then.
    shown = eventually(lambda: failing(service, 4), "four failures of the endpoint")
    assert said in shown["last_error"]
    assert shown["last_failure_at"]
    assert (shown["paused_until"], shown["last_success_at"]) == (None, None)


def test_an_endpoint_that_refuses_an_event_is_no_longer_paused(services: Services) -> None:
    """A paused endpoint that refuses one event answers again: its other events need not wait."""
    deliveries = services.store.deliveries
    for _ in range(5):
        deliveries.in_trouble("mine", "answered 500")
    assert deliveries.state("mine").paused_until
    deliveries.refused("mine", "answered 400")
    state = deliveries.state("mine")
    assert (state.paused_until, state.failures_in_a_row, state.last_error) == (None, 6, "answered 400")
    deliveries.succeeded("mine")
    assert deliveries.state("mine").failures_in_a_row == 0


def test_private_addresses_are_not_forwarded_to(start_relay: Start, downstream: Downstream) -> None:
    """A private address that is not allowed is a failure at once, whose error names the setting."""
    service = start_relay(forward_urls=f"{downstream.url}/hook", forward_allow_private="10.0.0.0/8")
    job_id, _ = tell(service.services)
    eventually(lambda: state_of(service, job_id) == "failed", "the failure")
    assert "FORWARD_ALLOW_PRIVATE" in runs(service, job_id)[0]["tries"][0]["error"]
    assert not downstream.deliveries


def test_a_relay_that_is_killed_loses_nothing(start_relay: Start, downstream: Downstream) -> None:
    """The next relay repeats deliveries in progress: each arrives at least once, with the same webhook-id."""
    downstream.behaviours["/slow"] = lambda *_: Reply(seconds=1.5)
    service = start_relay(forward_urls=f"{downstream.url}/slow", forward_timeout="20s")
    reported = [tell(service.services) for _ in range(6)]
    eventually(lambda: downstream.on("/slow"), "the first to be under way")
    service.relay.kill()
    service.relay.start()
    eventually(lambda: all(state_of(service, job) == "done" for job, _ in reported), "all delivered")
    assert ids(downstream, "/slow") == {event_id for _, event_id in reported}


def test_an_expired_delivery_becomes_a_failure(start_relay: Start, downstream: Downstream) -> None:
    """A delivery expires when it has been due for too long; its failure says why."""
    downstream.behaviours["/down"] = lambda *_: Reply(503)
    service = start_relay(forward_urls=f"{downstream.url}/down")
    jobs = [tell(service.services)[0] for _ in range(8)]
    eventually(lambda: paused(service, "/down"), "the pause")
    store = service.services.store
    assert store.deliveries.expire(f"{downstream.url}/down", 3600, "too long") == 0
    ended = eventually(
        lambda: store.deliveries.expire(f"{downstream.url}/down", 0, "too long"), "some that are due"
    )
    failures = service.call("GET", "/v1/failures").json()["failures"]
    assert len(failures) == ended
    assert {each["note"] for each in failures} == {"too long"}
    assert {each["job_id"] for each in failures} <= set(jobs)


def ids(downstream: Downstream, path: str) -> set[str]:
    return {each.headers["webhook-id"] for each in downstream.on(path)}


def to_bytes(event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    assert from_structured(HTTPMessage({"content-type": "application/cloudevents+json"}, body), JSONFormat())
    return body


def done(service: Service, job_id: str) -> Any:
    found = runs(service, job_id)
    return found if all(run["state"] == "done" for run in found) else None


def handled(service: Service, jobs: Iterable[str]) -> bool:
    store = service.services.store
    return all(run.state == "done" for job in jobs for run in store.runs.of_job(job) if run.endpoint is None)


def failing(service: Service, times: int) -> Any:
    (shown,) = service.call("GET", "/v1/endpoints").json()["endpoints"]
    return shown if shown["failures_in_a_row"] >= times else None


def paused(service: Service, path: str) -> Any:
    endpoints = service.call("GET", "/v1/endpoints").json()["endpoints"]
    return next((each for each in endpoints if each["name"].endswith(path) and each["paused_until"]), None)
