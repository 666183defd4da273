"""A callback that is refused although its token is valid is stored as far as it was read, and can be retried."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.core.tokens import Binding, fingerprint, mint
from app.receiver import retry as retries
from app.receiver import take
from app.receiver.views import CALLBACK_PROBLEMS
from app.redis.scripts import decoded_all
from app.settings import Settings
from app.store import Store
from app.store.refusals.refusal import Refusal
from app.web.problems import Problem
from app.web.services import WebServices
from harness.servers import Web, eventually
from tests import raw
from tests.ci import samples
from tests.receiver.callbacks import a_token, body, body_of, post
from tests.receiver.test_binding import JOB, answered, submission_of, submitted

OTHER = body(Input={"BucketId": "other-1250000000", "Object": "in/tune.mp3"})
NOT_KEPT = {"bad_token", "revoked_token", "store_unavailable", "too_many_callbacks"}
"""Not ours, no longer ours, or to be sent again."""

Send = Callable[[Web, str], object]


def _post(content: bytes, **headers: str) -> Send:
    return lambda web, token: post(web.url, token, content, **headers)


def _raw(*parts: bytes, **heads: str) -> Send:
    names = [f"{name.replace('_', '-')}: {value}" for name, value in heads.items()]
    return lambda web, token: raw.exchange(web.port, raw.head("POST", f"/callbacks/{token}", *names), *parts)


def _cut_short(web: Web, token: str) -> None:
    with raw.connect(web.port) as link:
        link.sendall(raw.head("POST", f"/callbacks/{token}", "Content-Length: 500") + b'{"JobsDetail')
        link.shutdown(1)
        raw.read_answer(link)


CASES: dict[str, tuple[Send, bytes, bool]] = {
    "malformed_json": (_post(b'{"JobsDetail": [],}'), b'{"JobsDetail": [],}', True),
    "malformed_xml": (_post(b"<Response>"), b"<Response>", True),
    "forbidden_xml": (_post(b"<!DOCTYPE r><Response/>"), b"<!DOCTYPE r><Response/>", True),
    "not_a_callback": (_post(b"{}"), b"{}", True),
    "bad_job_id": (_post(body(JobId="a b")), body(JobId="a b"), True),
    "too_complex": (_post(b"[" * 1000), b"[" * 1000, True),
    "unsupported_media_type": (_post(b"\x00\xffhello"), b"\x00\xffhello", True),
    "empty_body": (_post(b" \r\n"), b" \r\n", True),
    "binding_mismatch": (_post(OTHER), OTHER, True),
    "content_encoding": (_post(OTHER, **{"Content-Encoding": "gzip"}), b"", False),
    "body_too_large": (_post(b"<" * 300_000), b"", False),
    "incomplete_body": (_cut_short, b'{"JobsDetail', False),
}
"""Each reason with what sends it, and what is kept of the body."""

ELSEWHERE = {"expired_token", "ip_not_allowed", "slow_body", "internal"}
"""Refused by the head, by time or for a fault of ours: tests of their own, here and in test_slow_and_idle.py."""


def newest(store: Store) -> Refusal:
    (found,) = store.refusals.newest(1)
    whole = store.refusals.get(found.id)
    assert whole is not None
    return whole


@pytest.mark.parametrize("where", ["parse", "check_binding", "_news", "keep"])
def test_a_fault_of_ours_loses_no_callback(
    client: FlaskClient, services: WebServices, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The answer is 500, and the callback is kept with its body: a retry accepts it when the fault is fixed."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    token = a_token(services.settings)
    with monkeypatch.context() as patched:
        patched.setattr(take, where, broken)
        answer = client.post(f"/callbacks/{token}", data=body(JobId="j500"))
    assert (answer.status_code, json.loads(answer.data)["reason"]) == (500, "internal")
    kept = newest(services.store)
    assert (kept.reason, kept.body, kept.whole) == ("internal", body(JobId="j500"), True)
    retries.retry_refusal(services, kept, by="someone")
    job = services.store.jobs.get("j500")
    assert job is not None
    assert job.state == "Success"


def test_every_reason_is_accounted_for() -> None:
    """Each reason is listed as one that stores the body, or does not."""
    assert set(CALLBACK_PROBLEMS) == CASES.keys() | NOT_KEPT | ELSEWHERE


@pytest.mark.parametrize("reason", CASES)
def test_a_refused_body_is_kept_as_far_as_it_was_read(web: Web, reason: str) -> None:
    """Reason, exact bytes, binding, content type; the log line names reason and refusal, and quotes nothing."""
    send, kept_body, whole = CASES[reason]
    token = a_token(web.settings, bucket="songs-1250000000")
    before = len(web.web.text())
    send(web, token)
    kept = newest(web.services.store)
    assert (kept.reason, kept.body, kept.whole) == (reason, kept_body, whole)
    assert (kept.token, kept.name, kept.binding["bucket"]) == (
        fingerprint(token),
        "tests",
        "songs-1250000000",
    )
    assert token not in str(kept)
    wanted = f'"reason":"{reason}"'
    eventually(lambda: wanted in web.web.text()[before:], "the log line")
    (line,) = [each for each in web.web.text()[before:].splitlines() if wanted in each]
    said = json.loads(line)
    assert (said["token"], said["refusal"], said["reason"]) == (kept.token, kept.id, reason)
    assert kept.detail not in line


def test_a_body_in_chunks_is_kept_up_to_the_limit(web: Web) -> None:
    """No more than MAX_BODY bytes of it."""
    token = a_token(web.settings)
    piece = b"10000\r\n" + b"<" * 65536 + b"\r\n"
    _raw(*[piece] * 5, Transfer_Encoding="chunked")(web, token)
    kept = newest(web.services.store)
    assert (kept.reason, kept.token, kept.whole) == ("body_too_large", fingerprint(token), False)
    assert kept.body == b"<" * web.settings.max_body


def test_a_bad_token_leaves_no_refusal(client: FlaskClient, store: Store) -> None:
    """A caller without a token cannot fill the list."""
    assert client.post("/callbacks/forged", data=b"{}").status_code == 403
    assert store.refusals.newest(10) == []


@pytest.mark.parametrize("content", [body(), b"<broken", b""])
def test_a_revoked_token_is_403_whatever_comes(
    client: FlaskClient, settings: Settings, store: Store, content: bytes
) -> None:
    """No refusal, no entry in a history, no question to CI."""
    token = a_token(settings)
    client.post(f"/callbacks/{token}", data=body(JobId="j1", State="Running"))
    due, entries = (
        store.db.client.zrange(store.db.key("due"), 0, -1, withscores=True),
        store.jobs.history("j1"),
    )
    store.refusals.revoke(fingerprint(token))
    answer = client.post(f"/callbacks/{token}", data=content)
    assert (answer.status_code, answer.json["reason"]) == (403, "revoked_token")  # type: ignore[index]
    assert store.refusals.newest(10) == []
    assert store.jobs.history("j1") == entries
    assert store.db.client.zrange(store.db.key("due"), 0, -1, withscores=True) == due


def test_an_expired_callback_is_kept_and_an_operator_can_retry_it(
    client: FlaskClient, services: WebServices, settings: Settings, store: Store
) -> None:
    """403 for CI; a retry accepts it, and the history names the operator."""
    late = a_token(settings, expires=1000)
    assert client.post(f"/callbacks/{late}", data=body(JobId="j1")).status_code == 403
    kept = newest(store)
    assert (kept.reason, kept.body) == ("expired_token", body(JobId="j1"))
    assert store.jobs.get("j1") is None
    done = retries.retry_refusal(services, kept, "anna")
    assert done.taken
    assert [(result.job_id, result.outcome) for result in done.results] == [("j1", "accepted")]
    (entry,) = store.jobs.history("j1")[0]
    assert (entry["by"], entry["refusal"], entry["outcome"]) == ("anna", kept.id, "accepted")
    assert entry["refused_at"] and entry["token"] == fingerprint(late)
    assert store.refusals.newest(10) == []
    assert not decoded_all(store.db.client.scan_iter(f"{store.db.prefix}refus*")), "nothing of it stays"


def test_an_address_that_was_not_allowed(settings: Settings, valkey: object) -> None:
    """After a proxy was missing in TRUSTED_PROXIES, the refused callbacks can be retried; each has its address."""
    update = {"verify": frozenset({"token", "ip"}), "allowed_ips": ()}
    app = create_app(settings.model_copy(update=update))
    ours: WebServices = app.extensions["services"]
    answer = app.test_client().post(f"/callbacks/{a_token(settings)}", data=body(JobId="j1"))
    assert answer.status_code == 403
    kept = newest(ours.store)
    assert (kept.reason, kept.body) == ("ip_not_allowed", body(JobId="j1"))
    assert "127.0.0.1" in kept.detail
    assert retries.retry_refusal(ours, kept, "anna").taken


def test_a_body_that_this_release_can_read(services: WebServices, store: Store) -> None:
    """A body that an older release could not read is parsed again."""
    content = samples.xml(samples.event(samples.voice_separate(JobId="jx")))
    old = Refusal("malformed_xml", "x", "f00f", {"name": "console", "nonce": "n"}, body=content, whole=True)
    store.refusals.note(old)
    assert retries.retry_refusal(services, newest(store), "anna").results[0].outcome == "accepted"
    assert store.refusals.newest(1) == []


def test_a_refusal_that_is_refused_again_has_the_new_reason(
    client: FlaskClient, services: WebServices, store: Store
) -> None:
    """The binding is checked again; the record names the operators who have retried it, up to twenty."""
    token = mint(Binding(name="q", bucket="songs-1250000000", expires=1), services.settings.callback_keys)
    assert client.post(f"/callbacks/{token}", data=OTHER).status_code == 403
    kept = newest(store)
    assert kept.reason == "expired_token"
    done = retries.retry_refusal(services, kept, "anna")
    assert (done.taken, done.reason, done.results) == (False, "binding_mismatch", ())
    again = newest(store)
    assert (again.id, again.reason, again.detail) == (kept.id, "binding_mismatch", done.detail)
    assert [(act["act"], act["by"], act["reason"]) for act in again.acts] == [
        ("retry", "anna", "binding_mismatch")
    ]
    assert again.body == OTHER
    for _ in range(50):
        retries.retry_refusal(services, newest(store), "anna")
    assert len(newest(store).acts) == 20
    assert store.refusals.open()[0] == 1


def test_a_refusal_whose_token_was_revoked_is_not_accepted(
    client: FlaskClient, services: WebServices, store: Store
) -> None:
    """An operator can override an expiry, but no revocation: for jobs and test messages."""
    probe = b'{"code":0,"message":"Test request when setting callback url"}'
    for content in (body(JobId="j1"), probe):
        late = a_token(services.settings, expires=1000)
        client.post(f"/callbacks/{late}", data=content)
        store.refusals.revoke(fingerprint(late))
        assert retries.retry_refusal(services, newest(store), "anna").reason == "revoked_token"
    assert store.jobs.get("j1") is None


def test_a_refusal_whose_token_a_setting_revoked_is_not_accepted(
    client: FlaskClient, settings: Settings, store: Store
) -> None:
    """REVOKED_TOKENS holds for a retry as for a callback."""
    late = a_token(settings, expires=1000)
    client.post(f"/callbacks/{late}", data=body(JobId="j1"))
    revoking = settings.model_copy(update={"revoked_tokens": frozenset({fingerprint(late)})})
    again = retries.retry_refusal(WebServices.open(revoking, timeout=5), newest(store), "anna")
    assert again.reason == "revoked_token"
    assert store.jobs.get("j1") is None


def test_part_of_a_body_is_not_retried(web: Web) -> None:
    """The refusal is unchanged."""
    post(web.url, a_token(web.settings), b"<" * 300_000)
    kept = newest(web.services.store)
    with pytest.raises(retries.Partial):
        retries.retry_refusal(web.services, kept, "anna")
    assert newest(web.services.store) == kept


def test_a_retry_that_cannot_be_stored_leaves_the_refusal(
    services: WebServices, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the cap of the outbox the retry is a 503."""
    content = body(JobId="j1")
    store.refusals.note(Refusal("expired_token", "x", "f00f", {"name": "q"}, body=content, whole=True))
    kept = newest(store)
    client = store.db.client
    pipe = client.pipeline()
    limit = services.settings.outbox_max
    for _ in range(limit):
        pipe.xadd(store.db.key("events"), {"x": 1})
    pipe.execute()
    with pytest.raises(Problem) as problem:
        retries.retry_refusal(services, kept, "anna")
    assert problem.value.reason == "store_unavailable"
    assert newest(store) == kept


def test_a_submission_s_refusal_belongs_to_its_job(
    client: FlaskClient, services: WebServices, store: Store
) -> None:
    """It is found by the job that CI named; a retry is compared with that job."""
    token = submitted(services)
    answered(store, submission_of(services, token), JOB)
    client.post(f"/callbacks/{token}", data=b'{"JobsDetail": [],}')
    kept = newest(store)
    assert (kept.job_ids, kept.submission) == ((JOB,), submission_of(services, token))
    entry = store.jobs.history(JOB)[0][-1]
    assert (entry["kind"], entry["refusal"]) == ("refused", kept.id)
    client.post(f"/callbacks/{token}", data=body(JobId="jother"))
    other = newest(store)
    assert (other.reason, other.job_ids) == ("binding_mismatch", (JOB,))
    assert retries.retry_refusal(services, other, "anna").reason == "binding_mismatch"


def test_all_jobs_of_one_body_are_stored_or_none(
    client: FlaskClient, services: WebServices, store: Store
) -> None:
    """In a retry as in a callback."""
    late = a_token(services.settings, expires=1000)
    pair = [samples.voice_separate(JobId=each) for each in ("ja", "jb")]
    client.post(f"/callbacks/{late}", data=body_of(pair))
    assert [result.job_id for result in retries.retry_refusal(services, newest(store), "anna").results] == [
        "ja",
        "jb",
    ]
    pair[1] = samples.voice_separate(JobId="bad id")
    client.post(f"/callbacks/{late}", data=body_of([samples.voice_separate(JobId="jc"), pair[1]]))
    assert retries.retry_refusal(services, newest(store), "anna").reason == "bad_job_id"
    assert store.jobs.get("jc") is None


def test_a_job_named_twice_gets_one_entry(client: FlaskClient, settings: Settings, store: Store) -> None:
    """However often a refused body names it."""
    client.post(f"/callbacks/{a_token(settings)}", data=body(JobId="j1", State="Running"))
    late = a_token(settings, expires=1000)
    client.post(f"/callbacks/{late}", data=body_of([samples.voice_separate(JobId="j1")] * 5))
    assert newest(store).job_ids == ("j1",)
    assert [entry["kind"] for entry in store.jobs.history("j1")[0]] == ["callback", "refused"]
    assert store.due.take(10, 60) == ["j1"], "CI is asked about the job that an expired callback named"
