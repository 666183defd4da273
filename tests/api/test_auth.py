"""Which scope each address requires, and that a refusal names it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.ci.incoming.payload import parse
from app.store import News, Store
from app.store.accept.news import as_body
from app.store.access.api_keys import SCOPES
from tests.api.stored import put
from tests.ci import samples
from tests.receiver.callbacks import body_of

CALLS = [
    ("GET", "/v1/jobs", "read"),
    ("GET", "/v1/jobs/j1", "read"),
    ("GET", "/v1/jobs/j1/events", "read"),
    ("GET", "/v1/jobs/j1/events/1/raw", "admin"),
    ("GET", "/v1/submissions/s1", "read"),
    ("GET", "/v1/refusals", "admin"),
    ("GET", "/v1/refusals/r1", "admin"),
    ("GET", "/v1/refusals/r1/raw", "admin"),
    ("POST", "/v1/refusals/r1/retry", "admin"),
    ("POST", "/v1/refusals/r1/dismiss", "admin"),
    ("POST", "/v1/jobs", "submit"),
    ("POST", "/v1/jobs/j1/refresh", "read"),
]


def test_operations_that_show_a_job_need_the_scope_read(client: FlaskClient, store: Store) -> None:
    """A key that may only submit cannot read a job by asking CI about it, or by cancelling it."""
    put(store, "j1")
    for scopes, needed in (({"submit"}, "read"), ({"read"}, "submit"), ({"links", "submit"}, "read")):
        key = store.api_keys.create("x", frozenset(scopes), replace=True)
        answer = client.post("/v1/jobs/j1/cancel", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json["needed"]) == (403, needed)  # type: ignore[index]
        assert "j1" not in answer.text
    key = store.api_keys.create("x", frozenset({"submit", "read"}), replace=True)
    answer = client.post("/v1/jobs/j1/cancel", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code != 403


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_each_call_requires_its_scope(
    client: FlaskClient, store: Store, method: str, path: str, scope: str
) -> None:
    """401 without a good key, 403 with one that lacks the scope; ``admin`` may do everything."""
    put(store, "j1")
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic eDp5",
        "Bearer \xe9",
        "Bearer " + "x" * 5000,
    ):
        answer = client.open(
            path, method=method, headers={"Authorization": header} if header is not None else {}
        )
        assert (answer.status_code, answer.json["reason"]) == (401, "unauthorized"), header  # type: ignore[index]
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for other in SCOPES:
        key = store.api_keys.create(other, frozenset({other}))
        answer = client.open(path, method=method, headers={"Authorization": f"bearer {key}"})
        allowed = other in {scope, "admin"}
        assert (answer.status_code == 403) is not allowed, (other, answer.text)
        if not allowed:
            assert answer.json["needed"] == scope  # type: ignore[index]


def test_every_address_under_v1_is_guarded(app: Flask) -> None:
    """A new view without a scope fails this test."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/v1"):
            scopes = getattr(app.view_functions[rule.endpoint], "scopes", ())
            assert scopes and set(scopes) <= set(SCOPES), rule.rule


def test_a_revoked_key_stops_at_once(client: FlaskClient, store: Store) -> None:
    """So does a key that another of the same name has replaced."""
    first = store.api_keys.create("x", frozenset({"read"}))
    second = store.api_keys.create("x", frozenset({"read"}), replace=True)
    codes = []
    for key in (first, second):
        codes.append(client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code)
    assert codes == [401, 200]
    assert store.api_keys.revoke("x")
    assert client.get("/v1/jobs", headers={"Authorization": f"Bearer {second}"}).status_code == 401


def test_the_store_does_not_know_the_key(store: Store) -> None:
    """A person who can read Redis cannot use the API with what is stored there."""
    key = store.api_keys.create("x", frozenset({"read"}))
    kept = store.db.client.hgetall(store.db.key("keys"))
    assert key not in str(kept)
    assert key.removeprefix("ck_") not in str(kept)


def test_links_need_their_scope(client: FlaskClient, store: Store) -> None:
    """Presigned URLs need the scope ``links``, and that CI has confirmed the outputs; a list never has any."""
    put(store, "j1")
    answer = parse(body_of(samples.voice_separate(JobId="j1"))).details
    store.acceptor.accept(News(answer, "poll", "confirmed", body=as_body(answer)))
    for scopes, linked in (({"read"}, False), ({"read", "links"}, True), ({"admin"}, True)):
        key = {"Authorization": f"Bearer {store.api_keys.create('x', frozenset(scopes), replace=True)}"}
        outputs = client.get("/v1/jobs/j1", headers=key).json["outputs"]  # type: ignore[index]
        assert [bool(output["url"]) for output in outputs] == [linked, linked]
        listed = client.get("/v1/jobs", headers=key).json["jobs"]  # type: ignore[index]
        assert [output["url"] for output in listed[0]["outputs"]] == [None, None]
