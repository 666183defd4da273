"""Every error is a problem document with one machine-readable reason; none shows internals."""

from __future__ import annotations

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.web.problems import PROBLEMS
from harness.servers import Service
from harness.settings import make_settings


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("POST", "/", 405, "method_not_allowed"),
        ("DELETE", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/callbacks/x", 405, "method_not_allowed"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("GET", "/problems/none", 404, "not_found"),
        ("GET", "/static/none.js", 404, "not_found"),
        ("GET", "/static/..%2f..%2fsettings.py", 404, "not_found"),
        ("GET", "/docs/none", 404, "not_found"),
        ("GET", "/v1/jobs", 401, "unauthorized"),
    ],
)
def test_an_error_is_a_problem_document(
    client: FlaskClient, method: str, path: str, status: int, reason: str
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.get_json()["reason"]) == (status, reason)
    assert answer.content_type == "application/problem+json"
    document = answer.get_json()
    assert document["type"] == f"/problems/{reason}"
    assert document["status"] == status
    assert document["title"] == PROBLEMS[reason][1]
    assert document["detail"]
    if status == 405:
        assert answer.headers["Allow"]
    assert client.get(document["type"]).get_json()["title"] == document["title"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "reason"),
    [
        (b"", {}, 400, "malformed_json"),
        (b"{", {}, 400, "malformed_json"),
        (b"[" * 100_000, {}, 400, "too_complex"),
        (b'{"a":NaN}', {}, 400, "malformed_json"),
        (b"\xff\xfe{\x00}\x00", {}, 400, "malformed_json"),
        (b"[]", {}, 422, "invalid_request"),
        (b"null", {}, 422, "invalid_request"),
        (b"1", {}, 422, "invalid_request"),
        (b"{}", {}, 422, "invalid_request"),
        (b'{"tag":"VoiceSeparate","tag":"VoiceSeparate"}', {}, 422, "invalid_request"),
        (b" " * 2_000_000, {}, 413, "body_too_large"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "content_encoding"),
    ],
)
def test_a_bad_submission_is_refused(
    client: FlaskClient,
    key: dict[str, str],
    content: bytes,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    """Nothing is sent to CI for it; broken rules are all named."""
    answer = client.post("/v1/jobs", data=content, headers={**key, **headers})
    assert (answer.status_code, answer.get_json()["reason"]) == (status, reason), answer.text
    assert len(answer.text) < 5000
    if status == 422:
        assert answer.get_json()["errors"]
        assert all({"field", "rule"} <= set(error) for error in answer.get_json()["errors"])


def test_an_internal_error_shows_nothing(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """500 says that the error was logged, which it was; it does not show the error."""

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("the secret of the house")

    answer = app.test_client().get("/broken")
    assert (answer.status_code, answer.get_json()["reason"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "the secret of the house" in caplog.text


def test_redis_away_is_no_fault_of_the_caller() -> None:
    """The API answers 503 with Retry-After; /healthz stays 200, and /readyz is 503."""
    client = create_app(make_settings("redis://127.0.0.1:9/0", redis_timeout="0.3")).test_client()
    for path in ("/v1/jobs", "/v1/jobs/j1", "/v1/submissions/s1"):
        answer = client.get(path, headers={"Authorization": "Bearer x"})
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_ci_s_refusal_is_reported_in_its_own_words(service: Service) -> None:
    """502 with CI's code and message; CI busy or away is 503 with Retry-After."""
    request = {
        "input": {"object": "a.mp3", "bucket": "refused-1250000000"},
        "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
        "output": {"au_object": "b.mp3"},
    }
    url = f"{service.settings.ci_endpoint}/_emulator/faults"
    spec = {"kind": "error", "on": "submit", "bucket": "refused-1250000000", "times": 1}
    for code, status, expected, reason in (
        ("AccessDenied", 403, 502, "ci_refused"),
        ("InvalidArgument", 400, 502, "ci_refused"),
    ):
        requests.post(url, json={**spec, "code": code, "status": status, "message": "no"}, timeout=10)
        answer = service.call("POST", "/v1/jobs", json=request)
        assert (answer.status_code, answer.json()["reason"], answer.json()["ci_code"]) == (
            expected,
            reason,
            code,
        )
        assert answer.json()["ci_message"] == "no"
