"""Every operation of the document asks for a key, and for the scope that it names; those that are open say so."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app.store import Store
from app.store.access.api_keys import SCOPES

_OPEN = {"/callbacks/{token}", "/healthz", "/readyz", "/metrics"}
"""For CI, for probes, and for Prometheus."""


def _operations(client: FlaskClient) -> list[tuple[str, str, dict[str, Any]]]:
    document: dict[str, Any] = client.get("/openapi.json").get_json()
    return [(path, method, each) for path, all_ in document["paths"].items() for method, each in all_.items()]


def test_only_these_are_open(client: FlaskClient) -> None:
    assert {path for path, _, each in _operations(client) if each.get("security") == []} == _OPEN


def test_no_operation_answers_without_a_key_or_without_its_scope(app: Flask, store: Store) -> None:
    """401 without a key and with a wrong one, 403 with a key of every other scope."""
    for path, method, each in _operations(app.test_client()):
        if path in _OPEN:
            continue
        scopes = re.findall(r"`(\w+)`", each["description"].partition(" Needs the scope")[2])
        assert scopes, path
        keys = [
            store.api_keys.create(f"not {scope}", frozenset(SCOPES) - {scope, "admin"}, replace=True)
            for scope in scopes
        ]
        url = re.sub(r"{\w+}", "1", path)
        unauthorized, forbidden = (401, "unauthorized"), (403, "forbidden")
        asked = [
            ({}, unauthorized),
            (bearer("wrong"), unauthorized),
            *((bearer(key), forbidden) for key in keys),
        ]
        for header, problem in asked:
            # An address may send ten wrong keys a minute.
            app.extensions["api_rates"].wrong.forget("127.0.0.1")
            answer = app.test_client().open(url, method=method.upper(), headers=header)
            assert (answer.status_code, (answer.get_json() or {})["reason"]) == problem, (method, path)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
