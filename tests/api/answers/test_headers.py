"""Headers for browsers and caches, for every path of the service and whatever the request headers claim."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.store import Store
from tests.api.stored import confirm, put


@pytest.mark.parametrize(
    "path",
    ["/", "/docs/", "/docs/none", "/openapi.json", "/v1/jobs", "/v1/jobs/none", "/healthz", "/nothing"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_answer_is_protected(path: str, method: str, client: FlaskClient, key: dict[str, str]) -> None:
    """Data, pages and errors alike."""
    headers = client.open(path, method=method, headers=key).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "base-uri 'none'" in headers["Content-Security-Policy"]
    assert "script-src 'unsafe" not in headers["Content-Security-Policy"]


def test_links_stay_in_no_cache(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """Neither an answer with presigned links, nor the 304 that says that they are still valid, may be cached."""
    put(store, "j1")
    confirm(store, "j1")
    answer = client.get("/v1/jobs/j1", headers=key)
    assert answer.json["outputs"][0]["url"]  # type: ignore[index]
    assert answer.headers["Cache-Control"] == "no-store"
    again = client.get("/v1/jobs/j1", headers=key | {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "no-store")
    reader = {"Authorization": f"Bearer {store.api_keys.create('r', frozenset({'read'}))}"}
    assert "no-store" not in client.get("/v1/jobs/j1", headers=reader).headers.get("Cache-Control", "")


def test_no_redirect_leads_to_the_host_of_the_request(app: Flask, client: FlaskClient) -> None:
    """The router redirects if a slash is missing or superfluous."""
    slashed = [rule.rule for rule in app.url_map.iter_rules() if rule.rule.endswith("/") and rule.rule != "/"]
    assert "/docs/" in slashed
    for path in (
        *(rule.rstrip("/") for rule in slashed),
        "/v1//jobs",
        "/v1///evil.example//jobs",
        "/docs//none",
    ):
        answer = client.get(path, headers={"Host": "evil.example"})
        location = answer.headers.get("Location", "")
        assert location or path not in {"/docs"}, path
        assert not re.match(r"\w+:|//", location) and "evil.example" not in answer.text, (path, location)


def test_docs_hold_nothing_of_the_request(client: FlaskClient) -> None:
    """The page is the same for every Host, and has no script of its own."""
    page = client.get("/docs/", headers={"Host": "evil.example"})
    assert "evil" not in page.text
    assert not re.findall(r"<script>|\son\w+=", page.text)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
