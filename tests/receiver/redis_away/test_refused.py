"""Callbacks refused while Redis is away: the refusals are spooled, and stored when Redis is back."""

from __future__ import annotations

import secrets

from flask.testing import FlaskClient

from app.core.clock import now_ms
from app.core.tokens import Binding
from app.receiver.retry import retry_refusal
from app.settings import Settings
from app.web.services import WebServices
from harness.servers import Valkey, eventually
from tests.callbacks import body, new_job_id, outcome, path
from tests.receiver.redis_away.troubles import drained, history, killed, stalled
from tests.store.said import said, tell
from tests.store.samples import submission
from tests.web.serving import serving


def test_a_refusal_is_stored_when_redis_is_back(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """A payload that contradicts its token may be true, so CI is asked once the refusal is drained."""
    job_id, other = new_job_id(), new_job_id()
    ours.store.submissions.create(submission("s1"))
    tell(ours.store, said(job_id, "Running"), source="submit", submission="s1")
    bound = path(settings, Binding(submission="s1", bucket="demo-1250000000"))
    with killed(server):
        lie = {"BucketId": "other-1250000000", "Object": "x", "Region": "ap-chongqing"}
        for text in (body(other, Input=lie), b"{}"):
            assert client.post(bound, data=text).status_code in {400, 403}
    eventually(lambda: drained(ours), "the spool to be drained")
    _, *refused = history(ours, job_id)
    assert [entry["reason"] for entry in refused] == ["binding_mismatch", "not_a_callback"]
    assert all(entry["kind"] == "refused" and entry["spooled_at"] for entry in refused)
    assert [each.reason for each in ours.store.refusals.newest(10)] == [
        "not_a_callback",
        "binding_mismatch",
    ]
    assert ours.store.due.take(10, 60) == [job_id], "CI is asked about the submission's own job"
    assert ours.store.jobs.get(other) is None


def test_a_refused_body_is_kept_while_redis_is_away(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """It is drained as it was read, with its binding and the time at which it was received."""
    url = path(settings, Binding(name="q", nonce="n", bucket="songs-1250000000"))
    began = now_ms()
    with killed(server):
        assert client.post(url, data=b'{"JobsDetail": [],}', content_type="text/json").status_code == 400
        assert client.post(path(settings, Binding(name="old", expires=1)), data=body("j1")).status_code == 403
        gone = now_ms()
    eventually(lambda: drained(ours), "the spool to be drained")
    late, broken = (ours.store.refusals.get(each.id) for each in ours.store.refusals.newest(10))
    assert broken and late
    assert (broken.body, broken.whole, broken.content_type) == (b'{"JobsDetail": [],}', True, "text/json")
    assert broken.binding == {"name": "q", "nonce": "n", "bucket": "songs-1250000000"}
    assert began <= broken.received_ms <= gone and broken.spooled_ms
    assert retry_refusal(ours, late, "anna").taken
    assert ours.store.jobs.get("j1") is not None


def test_a_callback_refused_by_redis_keeps_its_body(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """The drain finds that the job is not the submission's; a retry is compared with the submission too."""
    named_by_ci, other = new_job_id(), new_job_id()
    bound = path(settings, Binding(submission="s1"))
    ours.store.submissions.create(submission("s1"))
    ours.store.db.client.hset(ours.store.db.key("submission", "s1"), "job_ids", named_by_ci)
    with killed(server):
        assert outcome(client.post(bound, data=body(other))) == "spooled"
    eventually(lambda: drained(ours), "the spool to be drained")
    (found,) = ours.store.refusals.newest(10)
    refusal = ours.store.refusals.get(found.id)
    assert refusal and refusal.body == body(other)
    assert (refusal.job_ids, refusal.submission) == ((named_by_ci,), "s1")
    assert retry_refusal(ours, refusal, "anna").reason == "binding_mismatch"


def test_a_spool_that_is_short_of_room_leaves_bodies_out(server: Valkey, settings: Settings) -> None:
    """Past a quarter of SPOOL_MAX refusals are spooled without their bodies."""
    app = serving(settings.model_copy(update={"spool_max": 100_000}))
    client, ours, url = app.test_client(), app.extensions["services"], path(settings)
    with killed(server):
        for _ in range(8):
            assert client.post(url, data=b"\0" + secrets.token_bytes(5000)).status_code == 415
    eventually(lambda: drained(ours), "the spool to be drained")
    kept = ours.store.refusals.newest(10)
    assert len(kept) == 8
    assert 2 <= sum(each.whole for each in kept) <= 5
    app.extensions["services"].drainer.stop()


def test_refusals_leave_room_for_callbacks(server: Valkey, settings: Settings) -> None:
    """Refusals of a leaked token fill at most half of the spool."""
    app = serving(settings.model_copy(update={"spool_max": 40_000}))
    client, ours, url = app.test_client(), app.extensions["services"], path(settings)
    with killed(server):
        for _ in range(150):
            assert client.post(url, data=b"{}").status_code == 400
        assert 15_000 < ours.spool.waiting() <= 20_000
        assert outcome(client.post(url, data=body(new_job_id()))) == "spooled"
    eventually(lambda: drained(ours), "the spool to be drained")
    app.extensions["services"].drainer.stop()


def test_a_refusal_does_not_wait_for_redis(server: Valkey, client: FlaskClient, settings: Settings) -> None:
    """The answer is 4xx, whether or not the refusal can be stored."""
    with stalled(server):
        for _ in range(5):
            assert client.post(path(settings), data=b"{}").status_code == 400
        assert client.post("/callbacks/forged", data=body("j1")).status_code == 403
