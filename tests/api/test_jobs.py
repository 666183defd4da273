"""Reading jobs: one, a list in pages, a history."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.ci.incoming.payload import parse
from app.core.clock import rfc3339
from app.store import News, Store
from app.store.submissions.submissions import Submission
from tests.api.stored import put
from tests.ci import samples
from tests.ci.samples import NO_JOBS
from tests.receiver.callbacks import body_of

INPUT = {"BucketId": "songs-1250000000", "Object": "in/tune.mp3", "Region": "ap-chongqing"}


def ids(client: FlaskClient, key: dict[str, str], query: str = "") -> list[str]:
    """All ids of a list, page after page."""
    found: list[str] = []
    cursor = ""
    for _ in range(1000):
        answer = client.get(f"/v1/jobs?{query}{cursor}", headers=key)
        assert answer.status_code == 200, answer.text
        page = answer.get_json()
        found += [job["job_id"] for job in page["jobs"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("the list has no end")


# ── one job ─────────────────────────────────────────────────────────────────


def test_a_job_is_served_as_it_was_reported(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    put(store, "j1")
    job = client.get("/v1/jobs/j1", headers=key).get_json()
    assert (job["job_id"], job["tag"], job["state"], job["terminal"]) == (
        "j1",
        "VoiceSeparate",
        "Success",
        True,
    )
    assert job["created_at"] == "2024-03-05T13:59:58Z"
    assert {output["role"]: output["object"] for output in job["outputs"]} == {
        "vocals": "out/voice.mp3",
        "background": "out/rest.mp3",
    }
    assert (job["verification"], job["source"], job["version"]) == ("token", "callback", 1)
    assert job["raw"]["JobId"] == "j1"
    assert job["submission"] is None


def test_an_unchanged_job_is_not_sent_again(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """``ETag`` and 304, with presigned links in it too; any change of the job changes the mark."""
    put(store, "j1", State="Running", EndTime=None)
    reader = {"Authorization": f"Bearer {store.api_keys.create('r', frozenset({'read'}))}"}
    for who in (key, reader):
        first = client.get("/v1/jobs/j1", headers=who)
        mark = first.headers["ETag"]
        time.sleep(1.1)
        again = client.get("/v1/jobs/j1", headers={**who, "If-None-Match": mark})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", mark)
        assert client.get("/v1/jobs/j1", headers={**who, "If-None-Match": '"other"'}).status_code == 200
    put(store, "j1")
    assert client.get("/v1/jobs/j1", headers={**key, "If-None-Match": mark}).status_code == 200


@pytest.mark.parametrize("wait", ["-1", "61", "x", "", "nan", "inf", "1e999"])
def test_wait_has_bounds(client: FlaskClient, store: Store, key: dict[str, str], wait: str) -> None:
    """0 to 60 seconds; the refusal of anything else names the range."""
    put(store, "j1")
    answer = client.get(f"/v1/jobs/j1?wait={wait}", headers=key)
    assert (answer.status_code, answer.get_json()["reason"]) == (422, "invalid_request")
    assert answer.get_json()["errors"][0]["field"] == "wait"


def test_wait_gives_the_job_as_it_is_when_the_time_is_up(
    client: FlaskClient, store: Store, key: dict[str, str]
) -> None:
    put(store, "j1", State="Running", EndTime=None)
    started = time.monotonic()
    answer = client.get("/v1/jobs/j1?wait=0.5", headers=key)
    assert answer.get_json()["state"] == "Running"
    assert time.monotonic() - started >= 0.5


@pytest.mark.timeout(40)  # less than it is willing to wait
def test_wait_answers_when_the_job_ends(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    put(store, "j1", State="Running", EndTime=None)
    threading.Timer(0.5, put, (store, "j1")).start()
    assert client.get("/v1/jobs/j1?wait=60", headers=key).get_json()["state"] == "Success"


def test_an_unknown_job_is_404(client: FlaskClient, key: dict[str, str]) -> None:
    for path in (
        "/v1/jobs/j0",
        "/v1/jobs/j0/events",
        "/v1/jobs/j0/events/1/raw",
        "/v1/submissions/s0",
        "/v1/nothing",
    ):
        answer = client.get(path, headers=key)
        assert (answer.status_code, answer.get_json()["reason"]) == (404, "not_found"), path


# ── the list ────────────────────────────────────────────────────────────────


def test_the_newest_come_first_page_by_page(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """Each job once, whatever the size of the page, though many were created in the same second."""
    for n in range(25):
        put(store, f"j{n:02}", CreationTime=f"2024-03-05T21:59:{50 + n // 10}+0800")
    everything = ids(client, key, "limit=200")
    assert [job[1:] for job in everything] == sorted((f"{n:02}" for n in range(25)), reverse=True)
    for limit in (1, 2, 3, 7, 10, 24, 25, 26):
        assert ids(client, key, f"limit={limit}") == everything


def test_a_job_keeps_its_place(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """It is fixed when the job is first stored: a later report with another creation time does not move it between
    pages."""
    put(store, "jold", CreationTime="2024-03-05T21:00:00+0800", State="Running", EndTime=None)
    put(store, "jnew", CreationTime="2024-03-05T22:00:00+0800")
    put(store, "jold", CreationTime="2024-03-05T23:00:00+0800")
    assert ids(client, key) == ["jnew", "jold"]


def test_jobs_that_come_meanwhile_do_not_disturb(
    client: FlaskClient, store: Store, key: dict[str, str]
) -> None:
    """New jobs between two pages: no job appears twice, and none of the older is missed."""
    for n in range(6):
        put(store, f"j{n}", CreationTime=f"2024-03-05T21:00:0{n}+0800")
    page = client.get("/v1/jobs?limit=3", headers=key).get_json()
    for n in range(6, 9):
        put(store, f"j{n}", CreationTime=f"2024-03-05T21:00:0{n}+0800")
    rest = client.get(f"/v1/jobs?limit=10&cursor={page['next_cursor']}", headers=key).get_json()
    assert [job["job_id"] for job in page["jobs"] + rest["jobs"]] == ["j5", "j4", "j3", "j2", "j1", "j0"]


FILTERS: dict[str, tuple[str, Any]] = {
    "state": ("State", "Failed"),
    "tag": ("Tag", "Transcode"),
    "queue_id": ("QueueId", "pother"),
    "bucket": ("Input", {**INPUT, "BucketId": "other-1250000000"}),
    "input_object": ("Input", {**INPUT, "Object": "in/other file & more.mp3"}),
    "user_data": ("Operation", {"UserData": "order=43 & more"}),
}


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_finds_its_jobs(
    client: FlaskClient, store: Store, key: dict[str, str], name: str
) -> None:
    """Exactly those that match, over short pages too; together with another filter those that match both."""
    field, value = FILTERS[name]
    for n in range(10):
        put(store, f"jyes{n}", **{field: value})
        put(store, f"jno{n}")
    wanted = value if isinstance(value, str) else next(iter(set(value.values()) - set(INPUT.values())))

    for limit in (1, 3, 50):
        found = ids(client, key, f"{name}={quote(wanted)}&limit={limit}")
        assert sorted(found) == [f"jyes{n}" for n in range(10)]
    assert ids(client, key, f"{name}={quote(wanted)}&overdue=true") == []
    if name != "state":  # one that no job has is refused: tests/api/chosen/test_filters.py
        assert ids(client, key, f"{name}={quote(wanted.upper() + 'x')}") == []


def test_a_changed_job_is_found_by_what_it_is_now(
    client: FlaskClient, store: Store, key: dict[str, str]
) -> None:
    put(store, "j1", State="Running", EndTime=None)
    assert ids(client, key, "state=Running") == ["j1"]
    put(store, "j1")
    assert ids(client, key, "state=Running") == []
    assert ids(client, key, "state=Success") == ["j1"]


def test_times_bound_the_list(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """Both ends are part of it; with any offset, and without one in UTC."""
    for n in range(5):
        put(store, f"j{n}", CreationTime=f"2024-03-05T21:00:0{n}+0800")
    assert ids(client, key, "created_after=2024-03-05T13:00:02Z") == ["j4", "j3", "j2"]
    assert ids(client, key, "created_after=2024-03-05T21:00:02%2B08:00") == ["j4", "j3", "j2"]
    assert ids(client, key, "created_before=2024-03-05T13:00:01") == ["j1", "j0"]
    assert ids(
        client, key, "created_after=2024-03-05T13:00:01Z&created_before=2024-03-05T13:00:03Z&limit=1"
    ) == [
        "j3",
        "j2",
        "j1",
    ]
    assert ids(client, key, "created_after=2030-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=x", "limit=", "overdue=perhaps", "created_after=yesterday", "stat=Success",
        "state=Success&state=Failed",
        "created_before=2024-13-01", "cursor=x", "cursor=%00", "cursor=é", "created_after=9999999999999999999",
    ],
)  # fmt: skip
def test_a_wrong_query_is_refused(client: FlaskClient, key: dict[str, str], query: str) -> None:
    """A misspelt filter must not widen the answer."""
    answer = client.get(f"/v1/jobs?{query}", headers=key)
    assert (answer.status_code, answer.get_json()["reason"]) == (422, "invalid_request"), answer.text


def test_every_fault_of_a_query_is_named(client: FlaskClient, key: dict[str, str]) -> None:
    answer = client.get("/v1/jobs?limit=0&overdue=x&no_such=1", headers=key)
    assert {error["field"] for error in answer.get_json()["errors"]} == {"limit", "overdue", "no_such"}


FORGED = [
    [],
    [1],
    [1, 2, 3],
    ["x", "y"],
    [1e999, "x"],
    [10**400, "x"],
    [None, None],
    {"a": 1},
    [-(10**18), "x"],
    [True, "x"],
    [1, 2],
]


@pytest.mark.parametrize("value", FORGED, ids=lambda value: repr(value)[:20])
def test_forged_cursors_are_refused_or_harmless(
    client: FlaskClient, key: dict[str, str], value: object
) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    answer = client.get(f"/v1/jobs?cursor={cursor}", headers=key)
    assert answer.status_code in {200, 422}, answer.text


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_cursor_upsets_the_list(client: FlaskClient, key: dict[str, str], cursor: str) -> None:
    answer = client.get("/v1/jobs", query_string={"cursor": cursor.encode("utf-8", "replace")}, headers=key)
    assert answer.status_code in {200, 422}


@pytest.mark.parametrize("name", [*FILTERS, "cursor"])
@pytest.mark.parametrize("value", ["*", "?", "a:b", "{x}", "../", "\x00", "%ff", "x" * 4000, "é", "\ud800"])
def test_no_value_upsets_the_list(client: FlaskClient, key: dict[str, str], name: str, value: str) -> None:
    answer = client.get("/v1/jobs", query_string={name: value.encode("utf-8", "surrogatepass")}, headers=key)
    assert answer.status_code in {200, 422}


# ── the history ─────────────────────────────────────────────────────────────


def test_the_history_tells_how_each_entry_was_verified(
    client: FlaskClient, store: Store, key: dict[str, str]
) -> None:
    put(store, "j1", State="Running", EndTime=None)
    put(store, "j1")
    put(store, "j1")
    document = client.get("/v1/jobs/j1/events", headers=key).get_json()
    assert (document["job_id"], document["count"]) == ("j1", 3)
    entries_shown = [
        (e["entry"], e["kind"], e["outcome"], e["state"], e["verified"]) for e in document["events"]
    ]
    assert entries_shown == [
        (1, "callback", "accepted", "Running", ["token", "binding"]),
        (2, "callback", "accepted", "Success", ["token", "binding"]),
        (3, "callback", "duplicate", "Success", ["token", "binding"]),
    ]
    assert document["events"][0]["event_id"] != document["events"][1]["event_id"]


def test_the_exact_bytes_are_kept(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """As a download, never as something that a browser would run."""
    put(store, "j1", Message="<script>alert(1)</script>")
    answer = client.get("/v1/jobs/j1/events/1/raw", headers=key)
    assert b"<script>" in answer.data
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    for entry in ("2", "0", "-1", "x", "9" * 30):
        assert client.get(f"/v1/jobs/j1/events/{entry}/raw", headers=key).status_code == 404


def test_a_job_without_news_past_its_deadline_is_overdue(
    client: FlaskClient, store: Store, key: dict[str, str]
) -> None:
    """Only jobs of our own submissions have a deadline; an ended one is never overdue."""

    now = time.time() * 1000
    for name, deadline in (("slate", now - 1000), ("ssoon", now + 60_000)):
        store.submissions.create(
            Submission(name, "submitted", rfc3339(now), rfc3339(deadline), "own", "b", "r")
        )

    for job_id, submission, state in (
        ("jlate", "slate", "Running"),
        ("jdone", "slate", "Success"),
        ("jsoon", "ssoon", "Running"),
    ):
        details = parse(body_of(samples.voice_separate(JobId=job_id, State=state, EndTime=None))).details
        store.acceptor.accept(News(details, "callback", "token", submission=submission, bind=False))
    assert ids(client, key, "overdue=true") == ["jlate"]
    assert sorted(ids(client, key, "overdue=false")) == ["jdone", "jsoon"]


@pytest.mark.parametrize("kind", NO_JOBS)
@pytest.mark.parametrize("what", ["refresh", "cancel"])
def test_a_job_that_ci_cannot_be_asked_about_gets_a_reason(
    client: FlaskClient, store: Store, key: dict[str, str], kind: str, what: str
) -> None:
    """409 for a review, a workflow run and an id that CI cannot have; CI is not asked."""
    content, job_id = NO_JOBS[kind]
    store.acceptor.accept(News(parse(content).details, "callback", "token", body=content))
    answer = client.post(f"/v1/jobs/{quote(job_id)}/{what}", headers=key)
    assert (answer.status_code, answer.get_json()["reason"]) == (409, "not_askable")
    assert "CI" in answer.get_json()["detail"]
    assert client.get(f"/v1/jobs/{quote(job_id)}", headers=key).status_code == 200
