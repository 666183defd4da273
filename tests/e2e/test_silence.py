"""A callback or an answer of CI is lost, and the whole service finds the job's end by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from harness.servers import Emulator, Service, Valkey, eventually, free_port
from harness.settings import make_settings
from tests.workers.relay.asking import REQUEST, fault


@pytest.fixture
def hasty(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Service]:
    """A service with a deadline of 2 s."""
    port = free_port()
    settings = make_settings(
        valkey.url, public_url=f"http://127.0.0.1:{port}", ci_endpoint=emulator.url, deadline="2s"
    )
    requests.post(f"{emulator.url}/_emulator/reset", timeout=60)
    with Service(settings, port, tmp_path) as running:
        yield running
    requests.post(f"{emulator.url}/_emulator/reset", timeout=60)


def test_a_callback_that_never_comes(hasty: Service, emulator: Emulator) -> None:
    """After the deadline CI is asked; the end is in the record and in the history, and its handlers have run."""
    fault(emulator, "lose")
    job_id = hasty.call("POST", "/v1/jobs", json=REQUEST).json()["job_id"]
    job = hasty.ended(job_id)
    assert (job["state"], job["source"], job["verification"]) == ("Success", "poll", "confirmed")

    def handled() -> bool:
        entries = hasty.call("GET", f"/v1/jobs/{job_id}/events").json()["events"]
        runs = [run["state"] for entry in entries if entry["kind"] == "poll" for run in entry["runs"]]
        return bool(runs) and set(runs) == {"done"}

    eventually(handled, "the handlers' runs to be done")


def test_an_answer_that_was_lost(hasty: Service, emulator: Emulator) -> None:
    """The answer is 202 and the submission; the relay finds the job in CI's list, and there is only one."""
    fault(emulator, "lost_answer", on="submit", times=1)
    fault(emulator, "lose")
    answer = hasty.call("POST", "/v1/jobs", json=REQUEST)
    assert answer.status_code == 202, answer.text
    submission = answer.headers["Location"]
    job_ids = eventually(lambda: hasty.call("GET", submission).json()["job_ids"], "the job to be found")
    assert hasty.ended(job_ids[0])["state"] == "Success"
    assert len(hasty.call("GET", "/v1/jobs").json()["jobs"]) == 1
