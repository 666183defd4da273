"""Labels and deadlines by real processes: in handlers, deliveries and streams; replays for one receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.downstream import Downstream
from harness.servers import Service, eventually
from tests.workers.conftest import Start

MODULE = """
import json
from pathlib import Path
from workers.handlers import Event, Job, handler

LOG = Path(__file__).parent / "log"

def note(who: str, event: Event, job: Job) -> None:
    said = {
        "who": who, "event": event.labels, "job": job.labels, "deadline": job.submission and job.submission.deadline,
        "kind": event.kind, "state": event.state,
    }
    with LOG.open("a") as log:
        log.write(json.dumps(said) + "\\n")

@handler(state="Success", name="mine.publish")
def publish(event: Event, job: Job) -> None:
    note("publish", event, job)

@handler(state="Success", name="mine.mail")
def mail(event: Event, job: Job) -> None:
    note("mail", event, job)
"""
REQUEST = {
    "input": {"object": "in/a.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/a.mp3"},
    "labels": {"show": "news", "number": 7},
    "deadline": 90,
}
LABELS = {"show": "news", "number": "7"}


@pytest.fixture
def service(start: Start, tmp_path: Path, downstream: Downstream) -> Iterator[Service]:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "my_handlers.py").write_text(MODULE)
    urls = f"{downstream.url}/one#name=one&state=Success,{downstream.url}/two#name=two&state=Success"
    yield start(environment={"PYTHONPATH": str(folder)}, handlers="my_handlers", forward_urls=urls)


def noted(tmp_path: Path) -> list[dict[str, Any]]:
    log = tmp_path / "mine" / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def submitted(service: Service) -> dict[str, Any]:
    answer = service.call("POST", "/v1/jobs", json=REQUEST)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_labels_and_deadline_reach_all_receivers_of_the_job(
    service: Service, tmp_path: Path, downstream: Downstream
) -> None:
    """The answer, handlers, deliveries, the filtered list, server-sent events and the stream have the labels."""
    job = submitted(service)
    assert job["labels"] == LABELS
    said = eventually(lambda: len(noted(tmp_path)) == 2 and noted(tmp_path), "both handlers")
    for each in said:
        assert (each["event"], each["job"]) == (LABELS, LABELS)
        assert each["deadline"] == job["submission"]["deadline"]
    (got,) = eventually(lambda: downstream.on("/one"), "the delivery")
    assert got.event["data"]["job"]["labels"] == LABELS
    assert got.event["data"]["job"]["submission"]["deadline"] == job["submission"]["deadline"]
    page = service.call("GET", "/v1/jobs?label.show=news").json()
    assert [each["job_id"] for each in page["jobs"]] == [job["job_id"]]
    with service.call("GET", "/v1/events", headers={"Last-Event-ID": "0-0"}, stream=True) as stream:
        data = next(line for line in stream.iter_lines() if line.startswith(b"data: "))
    assert json.loads(data.removeprefix(b"data: "))["job"]["labels"] == LABELS
    store = service.services.store
    assert all(each.event.labels == LABELS for each in store.outbox.after("0-0", 100))
    kept = store.submissions.get(job["submission"]["id"])
    assert kept is not None and kept.patience == 90
    due = store.db.client.zscore(store.db.key("due"), job["job_id"])
    assert due is None, "it has ended"


def test_a_replay_for_one_receiver_runs_only_that(
    service: Service, tmp_path: Path, downstream: Downstream
) -> None:
    """A replay for a handler makes no delivery, one for an endpoint runs no handler; `forward` means all endpoints."""
    job_id = submitted(service)["job_id"]
    eventually(
        lambda: len(noted(tmp_path)) == 2 and downstream.on("/one") and downstream.on("/two"), "the first"
    )
    eventually(service.services.store.runs.declared, "the relay to say which handlers there are")

    def replayed(query: str, runs: set[tuple[str, str | None]]) -> None:
        assert service.call("POST", f"/v1/jobs/{job_id}/replay{query}").status_code == 202

        def last() -> Any:
            return service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"][-1]["runs"]

        eventually(lambda: last() and {each["state"] for each in last()} == {"done"}, "its runs")
        assert {(each["handler"], each["endpoint"]) for each in last()} == runs

    replayed("?handler=mine.mail", {("mine.mail", None)})
    replayed("?endpoint=two", {("forward", "two")})
    replayed("?handler=forward", {("forward", "one"), ("forward", "two")})
    assert [each["who"] for each in noted(tmp_path) if each["kind"] == "replay"] == ["mail"]
    assert (len(downstream.on("/one")), len(downstream.on("/two"))) == (2, 3)
    misspelt = service.call("POST", f"/v1/jobs/{job_id}/replay?handler=mine.mial")
    assert (misspelt.status_code, misspelt.json()["reason"]) == (404, "unknown_handler")
    assert "mine.mail" in misspelt.json()["detail"]
