"""What a caller accepts, and which sites may read: the same for every answer of the API, plain reads included."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.store import Store
from tests.api.stored import put
from tests.receiver.callbacks import a_token, body

SITE = "https://app.example.com"
READS = ("/v1/jobs", "/v1/jobs/j1", "/v1/jobs/j1/events", "/v1/stats", "/v1/audit", "/openapi.json")


@pytest.fixture
def reader(client: FlaskClient, store: Store, key: dict[str, str]) -> dict[str, str]:
    """A key that was looked up before, so that plain reads are answered before Flask."""
    put(store, "j1")
    assert client.get("/v1/jobs", headers=key).status_code == 200
    return key


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "accept",
    [
        "application/xml",
        "text/event-stream",
        "application/json;q=0",
        "text/html, image/*",
        "application/jsonx",
    ],
)
def test_an_unacceptable_media_type_is_refused(
    client: FlaskClient, reader: dict[str, str], path: str, accept: str
) -> None:
    """406, with the media types that the operation has."""
    answer = client.get(path, headers=reader | {"Accept": accept})
    assert (answer.status_code, answer.get_json()["reason"]) == (406, "not_acceptable")
    assert "application/json" in answer.get_json()["detail"]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/*",
        "application/json",
        "application/json, text/plain, */*",
        "text/html, */*;q=0.1",
        "x" * 5000,
    ],
)
def test_an_acceptable_media_type_is_answered(
    client: FlaskClient, reader: dict[str, str], path: str, accept: str
) -> None:
    assert client.get(path, headers=reader | {"Accept": accept}).status_code == 200


def test_a_stream_and_raw_bytes_have_their_own_media_type(
    client: FlaskClient, reader: dict[str, str]
) -> None:
    """They are refused to a caller who accepts JSON alone."""
    for path, media in (
        ("/v1/events", "text/event-stream"),
        ("/v1/jobs/j1/events/1/raw", "application/octet-stream"),
    ):
        refused = client.get(path, headers=reader | {"Accept": "application/json"})
        assert refused.status_code == 406 and media in refused.get_json()["detail"]
        answer = client.get(path, headers=reader | {"Accept": media}, buffered=False)
        assert (answer.status_code, answer.mimetype) == (200, media)
        answer.close()


def test_nothing_is_done_before_it_is_refused(
    client: FlaskClient, store: Store, reader: dict[str, str]
) -> None:
    answer = client.post("/v1/lanes/default/pause", headers=reader | {"Accept": "application/xml"})
    assert answer.status_code == 406
    assert store.lanes.paused() == {}


def test_a_callback_and_a_health_check_are_answered_whatever_they_accept(
    client: FlaskClient, settings: Settings
) -> None:
    """CI may not repeat a refused callback, and an orchestrator would restart a healthy process."""
    odd = {"Accept": "application/x-nothing"}
    assert client.post(f"/callbacks/{a_token(settings)}", data=body(), headers=odd).status_code == 200
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, headers=odd).status_code in {200, 503}


def test_options_name_the_methods_and_no_content_type(app: Flask, client: FlaskClient) -> None:
    """For every address but the pages, which redirect to the sign-in whatever the method."""
    for rule in app.url_map.iter_rules():
        if "OPTIONS" in (rule.methods or ()) and not rule.endpoint.startswith("pages."):
            answer = client.options(re.sub(r"<[^>]+>", "1", rule.rule))
            assert (answer.status_code, answer.data) == (200, b""), rule.rule
            assert answer.headers["Allow"] and "Content-Type" not in answer.headers, rule.rule


@pytest.fixture
def open_to(settings: Settings) -> Iterator[FlaskClient]:
    """An application whose API one site may read."""
    with create_app(
        settings.model_copy(update={"api_cors_origins": frozenset({SITE})})
    ).test_client() as opened:
        yield opened


@pytest.mark.parametrize("path", [*READS, "/v1/jobs/none", "/v1/nothing"])
def test_cors_is_off_unless_it_is_set(client: FlaskClient, reader: dict[str, str], path: str) -> None:
    for method in ("GET", "OPTIONS"):
        asked = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
        headers = client.open(path, method=method, headers=reader | asked).headers
        assert not [name for name, _ in headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", [*READS, "/v1/jobs/none", "/v1/nothing"])
@pytest.mark.parametrize(
    "origin",
    [SITE, f"{SITE}.evil.example", "https://app.example.com:8443", "http://app.example.com", "null", None],
)
def test_only_a_site_that_is_named_may_read(
    open_to: FlaskClient, reader: dict[str, str], path: str, origin: str | None
) -> None:
    """Exactly that origin, in errors too, never with credentials; a cache keeps the answers of sites apart."""
    for _ in range(2):
        headers = open_to.get(path, headers=reader | ({"Origin": origin} if origin else {})).headers
        assert "Origin" in headers.getlist("Vary")
        assert headers.get("Access-Control-Allow-Origin") == (SITE if origin == SITE else None)
        assert ("ETag" in headers.get("Access-Control-Expose-Headers", "")) == (origin == SITE)
        assert "Access-Control-Allow-Credentials" not in headers


def test_a_preflight_is_answered_without_a_key(open_to: FlaskClient) -> None:
    """For the named site with what it may send; for others it allows nothing."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = open_to.options("/v1/jobs", headers=asked | {"Origin": SITE})
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Request-Id"]
    other = open_to.options("/v1/jobs", headers=asked | {"Origin": "https://evil.example"})
    assert not [name for name, _ in other.headers if name.startswith("Access-Control")]
    assert "Origin" in other.headers.getlist("Vary")


def test_pages_and_callbacks_are_for_no_other_site(open_to: FlaskClient) -> None:
    """A page is read with the cookie of the session."""
    for path in ("/", "/login", "/submit", "/callbacks/x", "/metrics"):
        headers = open_to.get(path, headers={"Origin": SITE}).headers
        assert not [name for name, _ in headers if name.startswith("Access-Control")]
