"""A run that is out of tries stays a failure until an operator retries or dismisses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.servers import Service, eventually
from tests.workers.conftest import Start
from tests.workers.news import tell

MODULE = """
from pathlib import Path
from workers.handlers import Event, GiveUp, Job, Later, handler

HERE = Path(__file__).parent

@handler(tag="VoiceSeparate", state="Success", tries=2, backoff=0.1)
def breaks(event: Event, job: Job) -> None:
    if not (HERE / "fixed").exists():
        raise RuntimeError("the index is away")

@handler(state="Failed", tries=5)
def gives_up(event: Event, job: Job) -> None:
    raise GiveUp("no customer")

@handler()
def works(event: Event, job: Job) -> None:
    with (HERE / "log").open("a") as log:
        log.write(f"{event.event_id} {event.kind} {event.replay_of or ''}\\n")
"""


@pytest.fixture
def service(start_background: Start, tmp_path: Path) -> Iterator[Service]:
    """A service whose handlers are in a folder outside of the repository."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "my_handlers.py").write_text(MODULE)
    yield start_background(environment={"PYTHONPATH": str(folder)}, handlers="my_handlers")


def listed(service: Service, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.call("GET", f"/v1/failures{query}").json()["failures"]
    return found


def mend(tmp_path: Path) -> None:
    (tmp_path / "mine" / "fixed").touch()


def worked(tmp_path: Path) -> list[list[str]]:
    log = tmp_path / "mine" / "log"
    return [line.split(" ") for line in log.read_text().splitlines()] if log.exists() else []


def test_a_failure_is_listed_and_retried(service: Service, tmp_path: Path) -> None:
    """The list shows time, worker and error of each try; a retry adds tries, and the history keeps the old ones."""
    job_id, event_id = tell(service.services)
    (failure,) = eventually(lambda: listed(service), "the failure")
    assert (failure["handler"], failure["job_id"], failure["event_id"]) == (
        "my_handlers.breaks",
        job_id,
        event_id,
    )
    assert [each["error"] for each in failure["tries"]] == ["RuntimeError: the index is away"] * 2
    assert all(each["worker"] and each["started_at"] <= each["ended_at"] for each in failure["tries"])
    assert "breaks" in failure["tries"][0]["traceback"]

    answer = service.call("POST", f"/v1/failures/{event_id}/retry?handler=my_handlers.breaks")
    assert answer.json()["retried"] == 1
    eventually(lambda: len((listed(service) or [{"tries": []}])[0]["tries"]) == 4, "two more failed tries")
    mend(tmp_path)
    assert service.call("POST", f"/v1/failures/{event_id}/retry").json()["retried"] == 1

    def run() -> Any:
        runs = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"][0]["runs"]
        (found,) = [each for each in runs if each["handler"] == "my_handlers.breaks"]
        return found if found["state"] == "done" else None

    done = eventually(run, "the run to be done")
    assert len(done["tries"]) == 5
    assert [act["act"] for act in done["acts"]] == ["retry", "retry"]
    assert done["acts"][0]["by"] == "tests"
    assert listed(service) == []


def test_a_traceback_is_for_admins(service: Service) -> None:
    """A key with the scope read gets the error without the traceback."""
    tell(service.services)
    eventually(lambda: listed(service), "the failure")
    key = service.services.store.api_keys.create("reader", frozenset({"read"}))
    answer = service.call("GET", "/v1/failures", headers={"Authorization": f"Bearer {key}"})
    (failure,) = answer.json()["failures"]
    assert failure["tries"][0]["error"]
    assert "traceback" not in failure["tries"][0]


def test_give_up_is_a_failure_after_one_try(service: Service) -> None:
    """A handler that raises ``GiveUp`` is not tried again."""
    tell(service.services, "Failed")
    (failure,) = eventually(lambda: listed(service, "?handler=my_handlers.gives_up"), "the failure")
    assert [each["error"] for each in failure["tries"]] == ["gave up: no customer"]


def test_a_failing_handler_does_not_affect_another(service: Service, tmp_path: Path) -> None:
    """The other handler has run once for each event."""
    reported = [tell(service.services)[1] for _ in range(3)]
    eventually(lambda: len(listed(service)) == 3, "three failures")
    eventually(
        lambda: sorted(line[0] for line in worked(tmp_path)) == sorted(reported),
        lambda: f"one run of the other handler for each event: {worked(tmp_path)}",
    )


def test_failures_are_filtered_counted_and_retried_together(service: Service, tmp_path: Path) -> None:
    """``dry_run`` only counts failures; two pages list each failure once."""
    for _ in range(5):
        tell(service.services)
    tell(service.services, "Failed")
    eventually(lambda: len(listed(service)) == 6, "six failures")
    assert len(listed(service, "?handler=my_handlers.breaks&tag=VoiceSeparate")) == 5
    assert listed(service, "?tag=Transcode") == []
    page = service.call("GET", "/v1/failures?limit=4").json()
    rest = service.call("GET", f"/v1/failures?limit=4&cursor={page['next_cursor']}").json()
    assert len({each["event_id"] for each in page["failures"] + rest["failures"]}) == 6
    assert service.call("GET", "/v1/failures?cursor=nonsense").json()["reason"] == "invalid_request"

    wanted = {"handler": "my_handlers.breaks"}
    counted = service.call("POST", "/v1/failures/retry", json=wanted | {"dry_run": True}).json()
    assert counted == {"count": 5}
    mend(tmp_path)
    done = service.call("POST", "/v1/failures/retry", json=wanted).json()
    assert (done["matched"], done["retried"]) == (5, 5)
    eventually(lambda: len(listed(service)) == 1, "only the other one to be left")
    assert service.call("POST", "/v1/failures/retry", json={"handlr": "x"}).status_code == 422
    counted = service.call("POST", "/v1/failures/retry", json={"all": True, "dry_run": True}).json()
    assert counted == {"count": 1}
    assert service.call("POST", "/v1/failures/retry", json={"all": True}).json()["retried"] == 1
    eventually(lambda: not listed(service), "none to be left")


def test_a_dismissed_failure_keeps_its_reason(service: Service) -> None:
    """It leaves the list and stays in the job's history; a reason is needed."""
    job_id, event_id = tell(service.services)
    eventually(lambda: listed(service), "the failure")
    path = f"/v1/failures/{event_id}/dismiss"
    assert service.call("POST", path, json={}).status_code == 422
    assert service.call("POST", path, json={"reason": "test data"}).json() == {"dismissed": 1}
    assert listed(service) == []
    assert service.call("POST", path, json={"reason": "again"}).status_code == 404
    runs = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"][0]["runs"]
    (run,) = [each for each in runs if each["handler"] == "my_handlers.breaks"]
    assert (run["state"], run["acts"][0]["reason"]) == ("dismissed", "test data")


def test_a_replay_is_an_event_of_its_own(service: Service, tmp_path: Path) -> None:
    """A replay has its own id and ``replay_of``, so that it is no duplicate: handlers run again."""
    job_id, event_id = tell(service.services)
    eventually(lambda: worked(tmp_path), "the first run")
    answer = service.call("POST", f"/v1/jobs/{job_id}/replay")
    assert answer.status_code == 202
    made = answer.json()
    assert made["replay_of"] == event_id != made["event_id"]
    eventually(lambda: [made["event_id"], "replay", event_id] in worked(tmp_path), "the second run")
    entry = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"][-1]
    assert (entry["kind"], entry["event_id"], entry["replay_of"]) == ("replay", made["event_id"], event_id)
    assert {run["handler"] for run in entry["runs"]} == {"my_handlers.breaks", "my_handlers.works"}
    again = service.call("POST", f"/v1/jobs/{job_id}/replay").json()
    assert again["event_id"] != made["event_id"]
    assert service.call("POST", "/v1/jobs/jnone/replay").status_code == 404
