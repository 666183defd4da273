"""At a cap (OUTBOX_MAX, JOBS_MAX, SPOOL_MAX) or without a spool: no callback that was answered 200 is lost."""

from __future__ import annotations

import pytest

from app.receiver import keep
from app.settings import Settings
from app.web.services import WebServices
from harness.servers import Valkey, eventually
from harness.settings import make_settings
from tests.callbacks import body, new_job_id, outcome, path
from tests.receiver.redis_away.troubles import drained, killed
from tests.web.serving import serving


@pytest.fixture
def ours(settings: Settings) -> WebServices:
    """Without a drainer that runs: one with the usual caps would drain at once what a smaller cap keeps out."""
    return WebServices.open(settings, timeout=60)


def test_an_outbox_at_its_cap_loses_nothing(server: Valkey, settings: Settings, ours: WebServices) -> None:
    """Without a relay events pile up to a cap; past it callbacks wait in the spool until there is room."""
    small = serving(settings.model_copy(update={"outbox_max": 3}))
    client, url = small.test_client(), path(settings)
    said = [outcome(client.post(url, data=body(new_job_id()))) for _ in range(5)]
    assert said == ["accepted"] * 3 + ["spooled"] * 2
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["parts"]["redis"]) == (200, "outbox full")
    ours.store.db.client.xtrim(ours.store.db.key("events"), maxlen=0)
    eventually(lambda: drained(ours), "the spool to be drained")
    assert ours.store.outbox.size() == 2
    small.extensions["services"].drainer.stop()


def test_at_the_cap_on_jobs_callbacks_of_known_jobs_are_accepted(
    server: Valkey, settings: Settings, ours: WebServices
) -> None:
    """Past JOBS_MAX callbacks of jobs never seen wait in the spool until there is room; /readyz names it, and stays
    200."""
    small = serving(settings.model_copy(update={"jobs_max": 2}))
    client, url, known, stranger = small.test_client(), path(settings), new_job_id(), new_job_id()
    assert outcome(client.post(url, data=body(known, "Running"))) == "accepted"
    assert client.get("/readyz").get_json()["parts"]["redis"] == "ok"
    assert outcome(client.post(url, data=body("jold"))) == "accepted"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    assert ready.get_json()["parts"]["redis"] == "jobs full"
    assert outcome(client.post(url, data=body(known))) == "accepted"
    assert outcome(client.post(url, data=body(stranger))) == "spooled"
    ours.store.retention.drop_job("jold")
    eventually(lambda: ours.store.jobs.get(stranger), "the spool to be drained")
    small.extensions["services"].drainer.stop()


@pytest.mark.parametrize(
    ("cap", "part", "status"), [("outbox_max", "outbox", 503), ("jobs_max", "jobs", 200)]
)
def test_at_a_cap_and_without_a_spool_readiness_is_what_callbacks_get(
    server: Valkey, settings: Settings, cap: str, part: str, status: int
) -> None:
    """At OUTBOX_MAX every callback that needs an event gets 503, and so does /readyz; at JOBS_MAX only callbacks of
    unknown jobs do."""
    changes = {"spool_dir": None, cap: 1}
    client, known = serving(settings.model_copy(update=changes)).test_client(), new_job_id()
    assert outcome(client.post(path(settings), data=body(known, "Running"))) == "accepted"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["parts"]["redis"]) == (status, f"{part} full")
    assert client.post(path(settings), data=body(known)).status_code == status
    answer = client.post(path(settings), data=body(new_job_id()))
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


def test_without_a_spool_the_answer_is_503_with_retry_after(server: Valkey, settings: Settings) -> None:
    """Not 4xx, since the fault is not CI's."""
    client = serving(settings.model_copy(update={"spool_dir": None})).test_client()
    with killed(server):
        answer = client.post(path(settings), data=body(new_job_id()))
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        ready = client.get("/readyz")
        assert (ready.status_code, ready.get_json()["status"]) == (503, "unavailable")
        assert ready.get_json()["parts"]["spool"] == "none"


def test_past_its_cap_the_spool_takes_no_more(server: Valkey, settings: Settings) -> None:
    """Past SPOOL_MAX callbacks get 503 with Retry-After, and /readyz is 503; each one answered 200 before is
    stored."""
    app = serving(settings.model_copy(update={"spool_max": 20_000}))
    client, ours, kept = app.test_client(), app.extensions["services"], []
    with killed(server):
        assert client.get("/readyz").get_json()["parts"]["spool"] == "ok"
        for _ in range(60):
            job_id = new_job_id()
            answer = client.post(path(settings), data=body(job_id))
            if answer.status_code != 200:
                break
            kept.append(job_id)
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "store_unavailable")
        assert "Retry-After" in answer.headers
        ready = client.get("/readyz")
        assert (ready.status_code, ready.get_json()["parts"]["spool"]) == (503, "full")
        assert ready.get_json()["spool_bytes"] > 15_000
    eventually(lambda: drained(ours), "the spool to be drained")
    assert len(kept) > 10
    assert all(ours.store.jobs.get(job_id) for job_id in kept)
    app.extensions["services"].drainer.stop()


def test_callbacks_that_cannot_be_stored_do_not_flood_the_log(
    server: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is logged at once with its reason; further ones are counted, in far fewer lines."""
    monkeypatch.setattr(keep, "_UNSTORED", keep._Unstored())
    bare = make_settings(server.url, spool_dir=None)
    client, url = serving(bare).test_client(), path(bare)
    with killed(server):
        statuses = {client.post(url, data=body(new_job_id())).status_code for _ in range(100)}
    lines = [each.getMessage() for each in caplog.records if "could not be stored" in each.getMessage()]
    assert statuses == {503}
    assert "503: 1;" in lines[0]
    assert "set SPOOL_DIR" in lines[0]
    assert len(lines) < 10
