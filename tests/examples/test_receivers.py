"""examples/flask_receiver.py and examples/fastapi_receiver.py, as they stand there, with deliveries of the service."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from harness.downstream import KEY, OLD_KEY
from harness.servers import eventually
from tests.examples.receivers import RECEIVERS, noted
from tests.workers.conftest import Start, start  # noqa: F401 - a fixture
from tests.workers.news import tell


def signed(event_id: str, key: str = KEY, age_s: int = 0) -> tuple[bytes, dict[str, str]]:
    """A delivery as the service makes it."""
    job = {"job_id": "j1", "state": "Success", "submission": None}
    event = {"event_id": event_id, "kind": "callback", "replay_of": None, "job": job}
    body = json.dumps({"specversion": "1.0", "id": event_id, "data": event}).encode()
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    signature = Webhook(key).sign(event_id, at, body.decode())
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return body, dict(zip(names, (event_id, str(int(at.timestamp())), signature), strict=True))


@pytest.mark.parametrize("name", RECEIVERS)
def test_deliveries_of_the_service_arrive(name: str, start: Start, tmp_path: Path) -> None:  # noqa: F811
    """Each event once, a replay under its own id, and the runs are done."""
    events = tmp_path / "events.db"
    with RECEIVERS[name](events) as url:
        service = start(forward_urls=url)
        job_id, event_id = tell(service.services)
        eventually(lambda: noted(events), "the event")
        assert noted(events) == {event_id: f"callback: {job_id} is Success"}
        replay = service.call("POST", f"/v1/jobs/{job_id}/replay").json()["event_id"]
        eventually(lambda: noted(events).keys() == {event_id, replay}, "the replay")

        def done() -> bool:
            history = service.call("GET", f"/v1/jobs/{job_id}/events").json()["events"]
            runs = [run for entry in history for run in entry["runs"] if run["handler"] == "forward"]
            return [run["state"] for run in runs] == ["done", "done"]

        eventually(done, "both runs to be done")


@pytest.mark.parametrize("name", RECEIVERS)
def test_only_signed_deliveries_once(name: str, tmp_path: Path) -> None:
    """The second try of an event changes nothing; while keys are rotated both are taken; nothing else is."""
    events = tmp_path / "events.db"
    first, second, other = (secrets.token_hex(16) for _ in range(3))
    with RECEIVERS[name](events) as url:
        for body, headers in (signed(first), signed(first), signed(second, OLD_KEY)):
            assert httpx.post(url, content=body, headers=headers, timeout=60).status_code == 204
        body, headers = signed(other)
        forged: tuple[tuple[bytes, dict[str, str]], ...] = (
            (body + b" ", headers),
            (body, headers | {"webhook-id": first}),
            (body, {}),
            signed(other, "whsec_" + "A" * 32),
            signed(other, age_s=600),
        )
        for body, headers in forged:
            assert httpx.post(url, content=body, headers=headers, timeout=60).status_code == 401
    assert noted(events).keys() == {first, second}
