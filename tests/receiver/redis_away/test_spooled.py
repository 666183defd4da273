"""Callbacks while Redis cannot store them: spooled, answered 200, and drained later, one event each."""

from __future__ import annotations

import time

import pytest
from flask.testing import FlaskClient
from redis.exceptions import BusyLoadingError

from app.core.tokens import Binding, fingerprint
from app.redis.connection import connect
from app.settings import Settings
from app.store import UNAVAILABLE
from app.web.services import WebServices
from harness.servers import Valkey, eventually
from tests.callbacks import body, new_job_id, outcome, path
from tests.receiver.redis_away.troubles import TROUBLES, Trouble, drained, history, killed, stalled
from tests.store.samples import submission
from tests.web.serving import serving


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_callback_is_spooled_and_drained(
    trouble: Trouble, server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """For each trouble the answer is 200 ``spooled``; the history has the outcome and the time of arrival."""
    url, ids = path(settings), [new_job_id() for _ in range(5)]
    assert outcome(client.post(url, data=body("jbefore"))) == "accepted"
    with trouble(server):
        for job_id in ids:
            assert outcome(client.post(url, data=body(job_id))) == "spooled"
    eventually(lambda: drained(ours), "the spool to be drained")
    for job_id in ids:
        # A stalled Redis may do, when it resumes, a write that has timed out: then the spooled one is a duplicate.
        *early, entry = history(ours, job_id)
        assert [each["outcome"] for each in (*early, entry)] == ["accepted", "duplicate"][: 1 + len(early)]
        assert entry["spooled_at"] == entry["at"], "its time is when it came, not when it was drained"
        assert ours.store.jobs.raw_bytes(job_id, 1) == body(job_id), "the exact bytes are kept"
    assert ours.store.outbox.size() == 1 + len(ids), "one event each"
    assert outcome(client.post(url, data=body(new_job_id()))) == "accepted"


def test_a_redis_that_is_loading(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """After a restart Redis loads its file and refuses writes: callbacks are spooled."""
    url, job_id = path(settings), new_job_id()
    pipe = connect(settings.redis_url, timeout=120).pipeline(transaction=False)
    for n in range(60_000):
        pipe.set(f"{settings.key_prefix}filler:{n}", n)
    pipe.execute()
    server.kill()
    # That takes longer than the test; it is sped up once it has been seen.
    slow = Valkey(
        server.socket.parent, "--key-load-delay", "400", "--loading-process-events-interval-bytes", "1024"
    )
    slow.waits_for_data = False
    with slow:
        eventually(lambda: "LOADING" in _ping(settings), "it to be loading")
        assert outcome(client.post(url, data=body(job_id))) == "spooled"
        WebServices.open(settings, timeout=5).store.db.client.config_set("key-load-delay", 0)
        eventually(lambda: drained(ours), "the spool to be drained")
        assert next(entry["outcome"] for entry in history(ours, job_id)) == "accepted"


def _ping(settings: Settings) -> str:
    """The server's own answer to a write."""
    try:
        WebServices.open(settings, timeout=3).store.presence.probe()
    except UNAVAILABLE as error:
        return "LOADING" if isinstance(error, BusyLoadingError) else type(error).__name__
    return "ok"


def test_a_stalled_redis_does_not_block_the_threads(server: Valkey, settings: Settings) -> None:
    """One request waits REDIS_TIMEOUT; of those after it only one a second does."""
    patient = serving(settings.model_copy(update={"redis_timeout": 3.0}))
    client, url = patient.test_client(), path(settings)
    client.post(url, data=body(new_job_id()))
    with stalled(server):
        started = time.monotonic()
        assert outcome(client.post(url, data=body(new_job_id()))) == "spooled"
        first = time.monotonic() - started
        started = time.monotonic()
        for _ in range(20):
            assert outcome(client.post(url, data=body(new_job_id()))) == "spooled"
        rest = time.monotonic() - started
    assert first > 2.9
    assert rest < 20 * 3.0 / 2, "together much less than one time-out each"
    patient.extensions["services"].drainer.stop()


def test_duplicates_and_order_survive_the_spool(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """Reports out of order and repeated, before and during the outage: the right state, and one event for each
    accepted report."""
    url, job_id = path(settings), new_job_id()
    assert outcome(client.post(url, data=body(job_id, "Submitted"))) == "accepted"
    with killed(server):
        for state in ("Success", "Running", "Success"):
            assert outcome(client.post(url, data=body(job_id, state))) == "spooled"
    eventually(lambda: drained(ours), "the spool to be drained")
    assert [entry["outcome"] for entry in history(ours, job_id)] == [
        "accepted",
        "accepted",
        "stale",
        "duplicate",
    ]
    job = ours.store.jobs.get(job_id)
    assert job is not None
    assert job.state == "Success"
    assert ours.store.outbox.size() == 2


def test_a_token_revoked_in_redis_is_refused_when_it_is_drained(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """Only Redis knows the revocation and CI's JobId, so both are checked in the drain."""
    named_by_ci, other = new_job_id(), new_job_id()
    revoked, bound = path(settings), path(settings, Binding(submission="s1"))
    ours.store.submissions.create(submission("s1"))
    ours.store.db.client.hset(ours.store.db.key("submission", "s1"), "job_ids", named_by_ci)
    ours.store.refusals.revoke(fingerprint(revoked.rpartition("/")[2]))
    with killed(server):
        assert outcome(client.post(revoked, data=body(new_job_id()))) == "spooled"
        assert outcome(client.post(bound, data=body(other))) == "spooled"
        assert outcome(client.post(bound, data=body(named_by_ci))) == "spooled"
    eventually(lambda: drained(ours), "the spool to be drained")
    assert ours.store.jobs.get(named_by_ci) is not None
    assert ours.store.jobs.get(other) is None
    reasons = {refusal.reason for refusal in ours.store.refusals.newest(10)}
    assert reasons == {"binding_mismatch"}, "a revoked token leaves nothing"


def test_readiness_is_degraded_while_the_spool_stands_in(
    server: Valkey, client: FlaskClient, settings: Settings
) -> None:
    """200 while callbacks are spooled; the body says where they are."""
    with killed(server):
        outcome(client.post(path(settings), data=body(new_job_id())))
        ready = client.get("/readyz")
        document = ready.get_json()
        assert (ready.status_code, document["status"]) == (200, "degraded")
        assert document["parts"]["redis"].startswith("unavailable")
        assert document["parts"]["spool"] == "ok"
        assert document["spool_bytes"] > 0


@pytest.mark.parametrize("trouble", [killed, stalled])
def test_reads_get_503_while_redis_is_away(
    trouble: Trouble, server: Valkey, client: FlaskClient, key: dict[str, str]
) -> None:
    """With a reason and Retry-After, never a 500; ``?wait=`` does not wait."""
    with trouble(server):
        client.get("/v1/jobs", headers=key)
        started = time.monotonic()
        for place in (
            "/v1/jobs",
            "/v1/jobs/j1",
            "/v1/jobs/j1?wait=30",
            "/v1/jobs/j1/events",
            "/v1/submissions/s1",
        ):
            answer = client.get(place, headers=key)
            assert (answer.status_code, answer.get_json()["reason"]) == (503, "store_unavailable"), place
            assert "Retry-After" in answer.headers
        assert time.monotonic() - started < 30, "no request waits for a job in a store that is away"
