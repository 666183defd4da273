"""GET /v1/stats: how many jobs there are, by state, tag and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient

from app.store import Store
from tests.api.stored import put

CHINA = timedelta(hours=8)


def _ago(**span: float) -> str:
    return (datetime.now(UTC) + CHINA - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%S+0800")


def test_counts(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """Each job once, by its state, by its tag, and by when it was created."""
    put(store, "j1", CreationTime=_ago(minutes=5))
    put(store, "j2", CreationTime=_ago(minutes=5), State="Failed", Tag="Transcode")
    put(store, "j3", CreationTime=_ago(hours=5), State="Failed")
    put(store, "j4", CreationTime=_ago(days=5))
    found = client.get("/v1/stats", headers=key).get_json()
    assert found["jobs"] == 4
    assert {state: n for state, n in found["by_state"].items() if n} == {"Failed": 2, "Success": 2}
    assert found["by_tag"] == {"Transcode": 1, "VoiceSeparate": 3}
    assert [len(found["hours"]), len(found["minutes"])] == [24, 60]
    assert sum(each["jobs"] for each in found["hours"]) == 3
    assert sum(each["failed"] for each in found["hours"]) == 2
    assert sum(each["jobs"] for each in found["minutes"]) == 2


def test_a_removed_job_is_not_counted(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """Nothing is left over from it."""
    put(store, "j1")
    store.retention.drop_job("j1")
    found = client.get("/v1/stats", headers=key).get_json()
    assert found["jobs"] == 0
    assert not any(found["by_state"].values())
    assert found["by_tag"] == {}


def test_it_needs_a_key(client: FlaskClient) -> None:
    assert client.get("/v1/stats").status_code == 401
