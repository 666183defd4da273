"""Plain reads are answered before Flask, with the answer of their view; all others are left to the view."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.api import reads
from app.settings import Settings
from app.settings.rates import Rate
from app.store import Store
from app.store.access.api_keys import SCOPES, Scope
from app.web.services import of
from tests.api.stored import confirm, put

PATHS = [
    "/v1/jobs",
    "/v1/jobs?",
    "/v1/jobs/",
    "/v1/jobs?state=Success&limit=2",
    "/v1/jobs?state=Success&tag=VoiceSeparate&overdue=false",
    "/v1/jobs?state=",
    "/v1/jobs?limit=2&limit=3",
    "/v1/jobs?limit=0",
    "/v1/jobs?user_data=a%20b+c",
    "/v1/jobs?user_data=%ff",
    "/v1/jobs?nonsense=1",
    "/v1/jobs?cursor=nonsense",
    "/v1/jobs?label.team=a&label.team=b",
    "/v1/jobs?created_after=2022-01-01T00:00:00Z",
    "/v1/jobs/j1",
    "/v1/jobs/j1?",
    "/v1/jobs/j1?wait=0",
    "/v1/jobs/j1?wait=nonsense",
    "/v1/jobs/confirmed",
    "/v1/jobs/none",
    "/v1/jobs/j1/",
    "/v1/jobs/j1/events",
    "/v1/jobs//j1",
    "/v1/jobs/%C3%A9",
    "/v1/jobsx",
]
TAGS = ["", "*", '"nonsense"', "{etag}", "W/{etag}", '"other", {etag}', "{etag}, ", "nonsense"]


@pytest.fixture
def keys(store: Store) -> dict[str, str]:
    """One key for each set of scopes, and a revoked one."""
    kinds: dict[str, set[Scope]] = {"read": {"read"}, "links": {"read", "links"}, "submit": {"submit"}}
    kinds["all"] = set(SCOPES)
    made = {
        name: f"Bearer {store.api_keys.create(name, frozenset(scopes))}" for name, scopes in kinds.items()
    }
    revoked = f"Bearer {store.api_keys.create('revoked', frozenset({'read'}))}"
    store.api_keys.revoke("revoked")
    spaced = made["read"].replace(" ", "   ") + " "
    return made | {"revoked": revoked, "none": "", "other": "Basic eDp5", "spaced": spaced}


@pytest.fixture(autouse=True)
def nothing_logged(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No request of a client and no outage of Redis is a fault of the program."""
    yield
    logged = [each for each in caplog.get_records("call") if each.name == reads.__name__]
    assert bool(logged) is ("fault_of_the_program" in request.node.name)


def filled(store: Store) -> None:
    for number in range(5):
        put(store, f"j{number}", UserData="a b c")
    put(store, "confirmed")
    confirm(store, "confirmed")


def both(app: Flask, client: FlaskClient, path: str, headers: dict[str, str]) -> list[Any]:
    """Status, headers and bytes, as the service answers, and as the view alone does."""
    client.get("/v1/jobs", headers=headers)  # The view looks a new key up.
    second, answers = -1, list[Any]()
    while second != int(time.time()):  # links are signed with the second, and an answer has its date
        second = int(time.time())
        answers = [client.get(path, headers=headers)]
        with pytest.MonkeyPatch.context() as without:
            without.setattr(reads, "_answer", lambda *_: None)
            answers.append(client.get(path, headers=headers))
    # Each request has an id of its own, and takes one of what its key may send.
    for each in answers:
        each.headers["X-Request-Id"] = str(len(each.headers["X-Request-Id"]))
        if "RateLimit" in each.headers:
            each.headers["RateLimit"] = each.headers["RateLimit"].partition(";")[0]
    return [(each.status_code, sorted(each.headers), each.data) for each in answers]


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_that_of_the_view(
    app: Flask, client: FlaskClient, store: Store, keys: dict[str, str], path: str
) -> None:
    """For every scope of a key, on the first read and on a cached one."""
    filled(store)
    for header in keys.values():
        for _ in range(2):
            mine, of_view = both(app, client, path, {"Authorization": header} if header else {})
            assert mine == of_view


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("job_id", ["j1", "confirmed"])
def test_the_answer_to_a_conditional_read_is_that_of_the_view(
    app: Flask, client: FlaskClient, store: Store, keys: dict[str, str], job_id: str, tag: str
) -> None:
    filled(store)
    for header in (keys["read"], keys["links"], keys["all"]):
        etag = client.get(f"/v1/jobs/{job_id}", headers={"Authorization": header}).headers["ETag"]
        headers = {"Authorization": header, "If-None-Match": tag.replace("{etag}", etag)}
        mine, of_view = both(app, client, f"/v1/jobs/{job_id}", headers)
        assert mine == of_view
        assert mine[0] == (304 if tag == "*" or "{etag}" in tag else 200)


@pytest.mark.parametrize(
    ("path", "headers", "is_plain"),
    [
        ("/v1/jobs", {}, True),
        ("/v1/jobs?state=Success&limit=2", {}, True),
        ("/v1/jobs/j1", {}, True),
        ("/v1/jobs/j1", {"If-None-Match": '"other"'}, True),
        ("/v1/jobs/j1?wait=1", {}, False),
        ("/v1/jobs/none", {}, False),
        ("/v1/jobs?limit=0", {}, False),
        ("/v1/jobs?cursor=nonsense", {}, False),
        ("/v1/jobs?user_data=" + "x" * 1001, {}, False),
    ],
)
def test_only_plain_reads_are_answered_before_the_view(
    app: Flask, store: Store, keys: dict[str, str], path: str, headers: dict[str, str], is_plain: bool
) -> None:
    filled(store)
    reached: list[str] = []

    @app.before_request
    def note() -> None:
        reached.append(path)

    for first_the_key in ("/v1/jobs", path):
        reached.clear()
        app.test_client().get(first_the_key, headers=headers | {"Authorization": keys["all"]})
    assert bool(reached) is not is_plain


def test_a_key_that_is_new_or_has_used_up_its_rate_is_left_to_the_view(
    settings: Settings, store: Store, keys: dict[str, str]
) -> None:
    """The view counts wrong keys and answers how long to wait; reads before it count against the rate as well."""
    filled(store)
    client = create_app(settings.model_copy(update={"api_rate": Rate(1, 3600, 3)})).test_client()
    for _ in range(3):
        assert client.get("/v1/jobs/j1", headers={"Authorization": keys["read"]}).status_code == 200
    for path in ("/v1/jobs/j1", "/v1/jobs"):
        late = client.get(path, headers={"Authorization": keys["read"]})
        assert (late.status_code, late.json["reason"]) == (429, "too_many_requests")  # type: ignore[index]
    wrong = client.get("/v1/jobs/j1", headers={"Authorization": "Bearer wrong"})
    assert wrong.headers["RateLimit"].startswith('"wrong-keys"')


def test_a_fault_of_the_program_is_logged(
    client: FlaskClient, store: Store, keys: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The view answers, so that no client would notice that each read is done twice."""
    filled(store)
    headers = {"Authorization": keys["read"]}
    client.get("/v1/jobs", headers=headers)  # The view looks a new key up.

    def broken(*_: object) -> None:
        raise AttributeError("a name that is gone")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reads, "_read", broken)
        assert client.get("/v1/jobs/j1", headers=headers).status_code == 200
    (logged,) = [each for each in caplog.records if each.name == reads.__name__]
    assert "the view answers it" in logged.message and "a name that is gone" in caplog.text


def test_a_fault_of_redis_is_left_to_the_view(app: Flask, client: FlaskClient, keys: dict[str, str]) -> None:
    """The view answers 503 with Retry-After."""
    of(app).store.db.client.connection_pool.connection_kwargs["path"] = "/nowhere"
    of(app).store.db.client.connection_pool.disconnect()
    answer = client.get("/v1/jobs", headers={"Authorization": keys["read"]})
    assert (answer.status_code, answer.json["reason"]) == (503, "store_unavailable")  # type: ignore[index]
