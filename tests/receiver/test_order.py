"""Which reason a refusal has, and which fault counts if there are several."""

from __future__ import annotations

import pytest
import requests
from flask.testing import FlaskClient

from app.core.tokens import fingerprint
from app.settings import Settings
from app.store import Store
from app.web.problems import PROBLEMS
from harness.servers import Web
from tests.ci import samples
from tests.metrics.reading import page_of, risen
from tests.receiver.callbacks import a_token, body, due_in_s, post

GZIP = {"Content-Encoding": "gzip"}
OTHER = body(Input={"BucketId": "other-1250000000", "Object": "in/tune.mp3"})
HUGE = b"<" * 300_000


@pytest.fixture
def bound(web: Web) -> str:
    """A token for files of one bucket only."""
    return a_token(web.settings, bucket="songs-1250000000")


@pytest.mark.parametrize(
    ("token", "content", "headers", "status", "reason"),
    [
        ("forged", HUGE, GZIP, 403, "bad_token"),
        ("forged", b"", {}, 403, "bad_token"),
        ("forged", b"\xff\xfe", {}, 403, "bad_token"),
        ("..", OTHER, {}, 403, "bad_token"),
        ("%2e%2e%2f", OTHER, {}, 403, "bad_token"),
        ("%ff%fe", OTHER, {}, 403, "bad_token"),
        ("%00", OTHER, {}, 403, "bad_token"),
        ("", OTHER, {}, 403, "bad_token"),
        ("a/b/c", OTHER, {}, 403, "bad_token"),
        ("x" * 3500, OTHER, {}, 403, "bad_token"),
        ("%e4%bb%a4%e7%89%8c", OTHER, {}, 403, "bad_token"),
        ("good", HUGE, GZIP, 413, "body_too_large"),
        ("good", HUGE, {}, 413, "body_too_large"),
        ("good", OTHER, GZIP, 415, "content_encoding"),
        ("good", b"", GZIP, 415, "content_encoding"),
        ("good", b"hello", {}, 415, "unsupported_media_type"),
        ("good", b"JobsDetail=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ("good", b"", {}, 400, "empty_body"),
        ("good", b" \r\n\t", {}, 400, "empty_body"),
        ("good", b"<Response>", {}, 400, "malformed_xml"),
        ("good", b'{"JobsDetail":', {}, 400, "malformed_json"),
        ("good", b"{}", {}, 400, "not_a_callback"),
        ("good", b"<Response/>", {}, 400, "not_a_callback"),
        ("good", body(JobId="a b"), {}, 400, "bad_job_id"),
        ("good", b'<!DOCTYPE r [<!ENTITY a "b">]><Response>&a;</Response>', {}, 400, "forbidden_xml"),
        ("good", OTHER, {}, 403, "binding_mismatch"),
    ],
)  # fmt: skip
def test_a_refusal_names_its_reason(
    web: Web, bound: str, token: str, content: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    """403 token, 413, 415, 400, 403 contradiction: in this order, whatever else is wrong. Only this reason is counted,
    once."""
    before = page_of(web.url)
    url = f"{web.url}/callbacks/{bound if token == 'good' else token}"
    request = requests.Request("POST", url, data=content, headers=headers).prepare()
    request.url = url  # as it is written: no part of the path is tidied up
    with requests.Session() as session:
        answer = session.send(request, timeout=20)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{reason}"
    assert PROBLEMS[reason][0] == status
    assert risen(before, page_of(web.url), "ci_refusals_total") == {(reason,): 1}


@pytest.mark.parametrize(
    "kind", ["application/json", "application/xml", "text/plain", "image/png", "", "x" * 500]
)
def test_the_content_type_is_not_believed(client: FlaskClient, settings: Settings, kind: str) -> None:
    """The first byte decides between XML and JSON."""
    for content in (body(), samples.xml(samples.event(samples.voice_separate()))):
        answer = client.post(f"/callbacks/{a_token(settings)}", data=content, content_type=kind)
        assert answer.status_code == 200


def test_an_expired_token_has_its_own_reason(client: FlaskClient, settings: Settings) -> None:
    answer = client.post(f"/callbacks/{a_token(settings, expires=1000)}", data=body())
    assert (answer.status_code, answer.json["reason"]) == (403, "expired_token")  # type: ignore[index]


def test_a_callback_with_an_expired_token_is_kept_and_ci_is_asked(
    client: FlaskClient, settings: Settings, store: Store
) -> None:
    """It may be true, since the token was ours: the refusal is stored whole, with the token's fingerprint; the job
    keeps its state, and CI is asked about it at once instead of at its deadline."""
    named = a_token(settings, name="console")
    assert client.post(f"/callbacks/{named}", data=body(JobId="j1", State="Running")).status_code == 200
    assert (due_in_s(store, "j1") or 0) > 1000
    late = a_token(settings, name="console", expires=1000)
    assert client.post(f"/callbacks/{late}", data=body(JobId="j1")).status_code == 403
    (newest,) = store.refusals.newest(1)
    assert (newest.reason, newest.token) == ("expired_token", fingerprint(late))
    kept = store.refusals.get(newest.id)
    assert kept is not None
    assert (kept.job_ids, kept.body, kept.whole) == (("j1",), body(JobId="j1"), True)
    job, due = store.jobs.get("j1"), due_in_s(store, "j1")
    assert job is not None and job.state == "Running"
    assert due is not None and due <= 0


@pytest.mark.parametrize("bent", ["{}%0Aa", "a%0Ab", "/{}", "{}/a", "", "%00", "../{}", "{}%2F.."])
def test_any_other_path_is_a_bad_token(client: FlaskClient, settings: Settings, bent: str) -> None:
    """403 for each text in the token's place."""
    answer = client.post("/callbacks/" + bent.format(a_token(settings)), data=body())
    assert (answer.status_code, answer.json["reason"]) == (403, "bad_token")  # type: ignore[index]


def test_a_revoked_token_is_refused(client: FlaskClient, settings: Settings, store: Store) -> None:
    """At once, for callbacks and probes; another token with the same binding is accepted."""
    gone, other = a_token(settings), a_token(settings)
    assert client.post(f"/callbacks/{gone}", data=body(JobId="j1")).status_code == 200
    store.refusals.revoke(fingerprint(gone))
    for content in (body(JobId="j2"), b'{"code":0,"message":"Test request when setting callback url"}'):
        answer = client.post(f"/callbacks/{gone}", data=content)
        assert (answer.status_code, answer.json["reason"]) == (403, "revoked_token")  # type: ignore[index]
    assert store.jobs.get("j2") is None
    assert client.post(f"/callbacks/{other}", data=body(JobId="j2")).status_code == 200


def test_a_probe_changes_nothing(client: FlaskClient, settings: Settings, store: Store) -> None:
    """The console's test message is answered 200 and counted; it makes no job."""
    probe = b'{"code":0,"message":"Test request when setting callback url","data":{"trace_id":"jprobe"}}'
    answer = client.post(f"/callbacks/{a_token(settings)}", data=probe)
    assert (answer.status_code, answer.json) == (200, {"results": []})
    assert store.jobs.newest() is None


def test_several_jobs_are_all_or_nothing(client: FlaskClient, settings: Settings, store: Store) -> None:
    """One job that is refused refuses the whole body; the valid one is not stored."""
    pair = [samples.voice_separate(JobId="jgood"), samples.voice_separate(JobId="bad id")]
    answer = client.post(f"/callbacks/{a_token(settings)}", data=samples.to_json(samples.event(pair)))
    assert answer.status_code == 400
    assert store.jobs.get("jgood") is None
    pair[1] = samples.voice_separate(JobId="jother", Input={"BucketId": "other-1250000000"})
    token = a_token(settings, bucket="songs-1250000000")
    answer = client.post(f"/callbacks/{token}", data=samples.to_json(samples.event(pair)))
    assert answer.status_code == 403
    assert store.jobs.get("jgood") is None
    answer = client.post(f"/callbacks/{a_token(settings)}", data=samples.to_json(samples.event(pair)))
    assert [each["outcome"] for each in answer.json["results"]] == ["accepted", "accepted"]  # type: ignore[index]


def test_a_wrong_token_touches_no_job(web: Web) -> None:
    """Without a valid token there is no entry in a history, no refusal, and no question to CI."""
    post(web.url, a_token(web.settings), body(JobId="jquiet"))
    before = web.services.store.jobs.history("jquiet")
    noted = web.services.store.refusals.newest(1000)
    assert post(web.url, "forged", body(JobId="jquiet", State="Failed")).status_code == 403
    assert web.services.store.jobs.history("jquiet") == before
    assert web.services.store.refusals.newest(1000) == noted
