"""``/v1/refusals``: refusals are listed, shown, retried or dismissed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.settings import Settings
from app.store import Store
from tests.receiver.callbacks import a_token, body

Key = dict[str, str]


def refuse(client: FlaskClient, settings: Settings, content: bytes, **binding: object) -> str:
    """Send a body with a valid token, and return the id of its refusal."""
    answer = client.post(f"/callbacks/{a_token(settings, **binding)}", data=content)
    assert 400 <= answer.status_code < 500
    store: Store = client.application.extensions["services"].store
    return store.refusals.newest(1)[0].id


def get(client: FlaskClient, path: str, key: Key) -> Any:
    answer = client.get(path, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_refusals_are_listed_with_their_reason(client: FlaskClient, settings: Settings, key: Key) -> None:
    """The list has the body's size, the time, the URL's name and why it was refused, here a trailing comma."""
    refused = refuse(client, settings, b'{"JobsDetail": [],}', name="console queue")
    page = get(client, "/v1/refusals", key)
    (one,) = page["refusals"]
    assert page["next_cursor"] is None
    assert (one["id"], one["reason"], one["name"], one["state"]) == (
        refused,
        "malformed_json",
        "console queue",
        "open",
    )
    assert one["detail"] and one["received_at"].endswith("Z") and one["size"] == 19 and one["whole"]
    assert "body" not in one


def test_a_refusal_has_its_body(client: FlaskClient, settings: Settings, key: Key) -> None:
    """As text if it is text, else in base64; the download has the exact bytes, and a browser must not sniff its
    type."""
    for content, text in ((b'{"a": "\x1b[2J\r\n"}', True), (b"\x00\xff\xfe", False)):
        refused = refuse(client, settings, content)
        one = get(client, f"/v1/refusals/{refused}", key)
        assert one["body"] == (content.decode() if text else None)
        assert one["body_base64"] == (None if text else base64.b64encode(content).decode())
        raw = client.get(f"/v1/refusals/{refused}/raw", headers=key)
        assert (raw.data, raw.mimetype) == (content, "application/octet-stream")
        assert raw.headers["X-Content-Type-Options"] == "nosniff"
        assert raw.headers["Content-Disposition"] == "attachment"


def test_filters_and_pages(client: FlaskClient, settings: Settings, key: Key) -> None:
    """Each filter by itself; a cursor goes on where a page has ended."""
    ids = [refuse(client, settings, b"{}", name=f"q{n}") for n in range(3)]
    broken = refuse(client, settings, b"<a", name="q0")
    first = get(client, "/v1/refusals?limit=2", key)
    second = get(client, f"/v1/refusals?limit=9&cursor={first['next_cursor']}", key)
    assert {each["id"] for each in first["refusals"] + second["refusals"]} == {*ids, broken}
    at = get(client, f"/v1/refusals/{broken}", key)
    for query, found in (
        ("reason=malformed_xml", [broken]),
        ("name=q1", [ids[1]]),
        (f"token={at['token']}", [broken]),
        ("job_id=j1", []),
        ("after=2999-01-01T00:00:00Z", []),
        ("before=2999-01-01T00:00:00Z&name=q2", [ids[2]]),
        ("before=1999-01-01T00:00:00Z", []),
    ):
        assert [each["id"] for each in get(client, f"/v1/refusals?{query}", key)["refusals"]] == found, query


@pytest.mark.parametrize(
    "query", ["reson=x", "limit=0", "limit=201", "cursor=x", "after=soon", "job_id=a&job_id=b"]
)
def test_a_wrong_query_is_refused(client: FlaskClient, key: Key, query: str) -> None:
    """A misspelt filter must not widen the answer."""
    answer = client.get(f"/v1/refusals?{query}", headers=key)
    assert (answer.status_code, answer.json["reason"]) == (422, "invalid_request")  # type: ignore[index]


def test_a_retry_answers_its_outcome(client: FlaskClient, settings: Settings, key: Key) -> None:
    """If the body is accepted, the refusal is removed and the job's history names the operator; else it stays, with
    the new reason."""
    late = refuse(client, settings, body(JobId="j1"), expires=1000)
    answer = client.post(f"/v1/refusals/{late}/retry", headers=key)
    assert (answer.status_code, answer.json) == (
        200,
        {
            "id": late,
            "taken": True,
            "results": [{"job_id": "j1", "outcome": "accepted"}],
            "reason": None,
            "detail": None,
        },
    )
    assert client.post(f"/v1/refusals/{late}/retry", headers=key).status_code == 404
    (entry,) = get(client, "/v1/jobs/j1/events", key)["events"]
    assert (entry["by"], entry["refusal"]) == ("tests", late)
    broken = refuse(client, settings, b"{}", expires=1000)
    again: Any = client.post(f"/v1/refusals/{broken}/retry", headers=key).json
    assert (again["taken"], again["reason"], again["results"]) == (False, "not_a_callback", [])
    assert get(client, f"/v1/refusals/{broken}", key)["reason"] == "not_a_callback"


def test_a_body_that_was_not_read_cannot_be_retried(
    client: FlaskClient, settings: Settings, key: Key
) -> None:
    """409, with what to do instead."""
    refused = refuse(client, settings, b"<" * (settings.max_body + 1))
    answer = client.post(f"/v1/refusals/{refused}/retry", headers=key)
    assert (answer.status_code, answer.json["reason"]) == (409, "not_retryable")  # type: ignore[index]


def test_a_dismissal_has_a_reason(client: FlaskClient, settings: Settings, key: Key) -> None:
    """It stays in the record, which is off the list and has no body any more."""
    refused = refuse(client, settings, b"{}")
    for wrong in ({}, {"reason": ""}, {"reason": "x", "more": 1}):
        assert client.post(f"/v1/refusals/{refused}/dismiss", json=wrong, headers=key).status_code == 422
    done = client.post(f"/v1/refusals/{refused}/dismiss", json={"reason": "a test"}, headers=key)
    assert done.json == {"dismissed": 1}
    assert get(client, "/v1/refusals", key)["refusals"] == []
    one = get(client, f"/v1/refusals/{refused}", key)
    assert (one["state"], one["acts"][0]["by"], one["acts"][0]["reason"]) == ("dismissed", "tests", "a test")
    for act in ("retry", "dismiss"):
        answer = client.post(f"/v1/refusals/{refused}/{act}", json={"reason": "x"}, headers=key)
        assert answer.status_code == 404


@pytest.mark.parametrize("odd", ["none", "a:b", "%00", "..%2f..", "é" * 50, "*"])
def test_an_unknown_id_is_404(client: FlaskClient, key: Key, odd: str) -> None:
    """Whatever it is made of."""
    for method, path in (("GET", ""), ("GET", "/raw"), ("POST", "/retry"), ("POST", "/dismiss")):
        answer = client.open(f"/v1/refusals/{odd}{path}", method=method, json={"reason": "x"}, headers=key)
        assert answer.status_code == 404, path


def test_metrics_count_the_open_ones(client: FlaskClient, settings: Settings, key: Key) -> None:
    """How many, and how much of RETENTION_REFUSALS they fill."""
    assert "\nci_refusals_open 0.0\n" in client.get("/metrics").text
    refused = refuse(client, settings, b"{}")
    text = client.get("/metrics").text
    assert "\nci_refusals_open 1.0\n" in text
    assert "\nci_refusals_open_bytes 1" in text
    client.post(f"/v1/refusals/{refused}/dismiss", json={"reason": "x"}, headers=key)
    assert "\nci_refusals_open_bytes 0.0\n" in client.get("/metrics").text
