"""Callbacks while Redis cannot store them: spooled, answered so, and drained later, one event each."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.exceptions import BusyLoadingError

from app.core.clock import now_ms
from app.core.tokens import Binding, fingerprint
from app.receiver import keep
from app.receiver.retry import retry_refusal
from app.settings import Settings
from app.spool import SUFFIX
from app.store import UNAVAILABLE
from app.web.services import WebServices
from harness.servers import Valkey, eventually
from harness.settings import make_settings
from tests.callbacks import body, new_job_id, outcome, path
from tests.store.said import said, tell
from tests.store.samples import submission
from tests.web.serving import serving

Trouble = Callable[[Valkey], AbstractContextManager[None]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A server that this test may break."""
    with Valkey(tmp_path) as own:
        yield own


@pytest.fixture
def settings(server: Valkey, tmp_path: Path) -> Settings:
    return make_settings(server.url, spool_dir=str(tmp_path / "spool"), redis_timeout="0.5s")


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    made = serving(settings)
    yield made
    made.extensions["services"].drainer.stop()


@pytest.fixture
def ours(app: Flask) -> WebServices:
    found: WebServices = app.extensions["services"]
    return found


@contextmanager
def killed(server: Valkey) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def stalled(server: Valkey) -> Iterator[None]:
    server.signal(signal.SIGSTOP)
    yield
    server.signal(signal.SIGCONT)


@contextmanager
def configured(server: Valkey, wrong: list[str], right: list[str]) -> Iterator[None]:
    client = WebServices.open(make_settings(server.url), timeout=5).store.db.client
    client.execute_command(*wrong)  # type: ignore[no-untyped-call]
    yield
    client.execute_command(*right)  # type: ignore[no-untyped-call]


def full(server: Valkey) -> AbstractContextManager[None]:
    return configured(server, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"])


def read_only(server: Valkey) -> AbstractContextManager[None]:
    return configured(server, ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"])


def unfollowed(server: Valkey) -> AbstractContextManager[None]:
    few = ["CONFIG", "SET", "min-replicas-to-write"]
    return configured(server, [*few, "1"], [*few, "0"])


TROUBLES: list[Trouble] = [killed, stalled, full, read_only, unfollowed]


def history(ours: WebServices, job_id: str) -> list[dict[str, object]]:
    entries, _ = ours.store.jobs.history(job_id)
    return list(entries)


def drained(ours: WebServices) -> bool:
    """Nothing is pending, and nothing is set aside."""
    assert ours.spool is not None
    return not list(ours.spool.folder.glob(f"*{SUFFIX}")) and not ours.spool.set_aside().records


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_is_spooled_and_drained(
    trouble: Trouble, server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """Whatever ails Redis, the answer is 200 ``spooled``, and the history gets the outcome and when it came."""
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
    """After a restart Redis reads its file for a while, and takes nothing: the spool does."""
    url, job_id = path(settings), new_job_id()
    pipe = ours.store.db.client.pipeline(transaction=False)
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
    """A full outbox: 503 for every callback with news. As many jobs as may be: 503 for those never seen only."""
    changes = {"spool_dir": None, cap: 1}
    client, known = serving(settings.model_copy(update=changes)).test_client(), new_job_id()
    assert outcome(client.post(path(settings), data=body(known, "Running"))) == "accepted"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["parts"]["redis"]) == (status, f"{part} full")
    assert client.post(path(settings), data=body(known)).status_code == status
    answer = client.post(path(settings), data=body(new_job_id()))
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


def test_a_stalled_redis_does_not_eat_the_threads(server: Valkey, settings: Settings) -> None:
    """One request waits REDIS_TIMEOUT; those after it do not wait at all, but for one a second."""
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
    """Out of order and twice, half before and half during: the same state, one event for each piece of news."""
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
    """Revocation and the binding to CI's JobId are known to Redis alone, so they are checked then, and noted."""
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


def test_a_refusal_is_noted_when_redis_is_back(
    server: Valkey, client: FlaskClient, ours: WebServices, settings: Settings
) -> None:
    """A payload that contradicts its token may hide the truth, also while Redis is away: CI is asked all the same."""
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
    """It comes from the spool as it was read, with its binding, its id and the time at which it came."""
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
    """A job that is not the submission's, found out when it is taken from the spool; held to that when retried."""
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
    """Past a quarter of SPOOL_MAX refusals are spooled without their bodies: CI is asked all the same."""
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
    """A leaked token cannot fill the spool with refusals: half of it is for callbacks."""
    app = serving(settings.model_copy(update={"spool_max": 40_000}))
    client, ours, url = app.test_client(), app.extensions["services"], path(settings)
    with killed(server):
        for _ in range(150):
            assert client.post(url, data=b"{}").status_code == 400
        assert 15_000 < ours.spool.waiting() <= 20_000
        assert outcome(client.post(url, data=body(new_job_id()))) == "spooled"
    eventually(lambda: drained(ours), "the spool to be drained")
    app.extensions["services"].drainer.stop()


def test_without_a_spool_the_answer_is_503_with_retry_after(server: Valkey, settings: Settings) -> None:
    """No SPOOL_DIR: 503 with Retry-After, and no 4xx: our trouble is not CI's fault."""
    client = serving(settings.model_copy(update={"spool_dir": None})).test_client()
    with killed(server):
        answer = client.post(path(settings), data=body(new_job_id()))
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        ready = client.get("/readyz")
        assert (ready.status_code, ready.get_json()["status"]) == (503, "unavailable")
        assert ready.get_json()["parts"]["spool"] == "none"


def test_past_its_cap_the_spool_takes_no_more(server: Valkey, settings: Settings) -> None:
    """Past SPOOL_MAX: 503 with Retry-After, /readyz says so; nothing that was answered 200 is lost."""
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


def test_readiness_is_degraded_while_the_spool_stands_in(
    server: Valkey, client: FlaskClient, settings: Settings
) -> None:
    """200 while callbacks can be kept; the body says where."""
    with killed(server):
        outcome(client.post(path(settings), data=body(new_job_id())))
        ready = client.get("/readyz")
        document = ready.get_json()
        assert (ready.status_code, document["status"]) == (200, "degraded")
        assert document["parts"]["redis"].startswith("unavailable")
        assert document["parts"]["spool"] == "ok"
        assert document["spool_bytes"] > 0


@pytest.mark.parametrize("trouble", [killed, stalled])
def test_reading_says_that_the_store_is_away(
    trouble: Trouble, server: Valkey, client: FlaskClient, key: dict[str, str]
) -> None:
    """An API read is a 503 with a reason and Retry-After, never a 500, and soon never a wait either."""
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
        assert time.monotonic() - started < 20, "no request waits for a job in a store that is away"


def test_a_refusal_does_not_wait_for_redis(server: Valkey, client: FlaskClient, settings: Settings) -> None:
    """What is refused is refused, whether or not the refusal can be noted."""
    with stalled(server):
        for _ in range(5):
            assert client.post(path(settings), data=b"{}").status_code == 400
        assert client.post("/callbacks/forged", data=body("j1")).status_code == 403


def test_callbacks_that_cannot_be_stored_do_not_flood_the_log(
    server: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is named at once, with the reason; the others are counted, in far fewer lines."""
    monkeypatch.setattr(keep, "_UNSTORED", keep._Unstored())
    bare = make_settings(server.url, spool_dir=None, redis_timeout="0.5s")
    client, url = serving(bare).test_client(), path(bare)
    with killed(server):
        statuses = {client.post(url, data=body(new_job_id())).status_code for _ in range(100)}
    lines = [each.getMessage() for each in caplog.records if "could not be stored" in each.getMessage()]
    assert statuses == {503}
    assert "503: 1;" in lines[0]
    assert "set SPOOL_DIR" in lines[0]
    assert len(lines) < 10
