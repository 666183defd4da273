"""POST /callbacks is answered without Flask's contexts; answer and log line are the same as with them."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from app import create_app
from app.core import logs
from app.core.tokens import fingerprint
from app.settings import Settings
from tests.receiver.callbacks import a_token, body, body_of

BODIES = {
    "news": (body(), {}),
    "no body": (b"", {}),
    "no callback": (b"{}", {}),
    "broken": (b"<a>", {}),
    "neither format": (b"hello", {}),
    "too large": (b"<" * 2_000_000, {}),
    "encoded": (body(), {"Content-Encoding": "gzip"}),
    "no id": (body_of({"State": "Success"}), {}),
}


def by_flask(settings: Settings) -> Flask:
    """The same application, with Flask's own dispatch and a key prefix of its own."""
    app = create_app(settings.model_copy(update={"key_prefix": f"{settings.key_prefix}flask:"}))
    app.wsgi_app = Flask.wsgi_app.__get__(app)  # type: ignore[method-assign]
    return app


def answers(app: Flask, path: str, content: bytes, **headers: str) -> tuple[int, dict[str, str], str]:
    answer = app.test_client().post(path, data=content, headers=headers)
    shown = {name: value for name, value in sorted(answer.headers.items()) if name != "X-Request-Id"}
    assert "X-Request-Id" in answer.headers
    return answer.status_code, shown, answer.text


@pytest.mark.parametrize(("content", "headers"), BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("is_good", [True, False], ids=["good token", "bad token"])
def test_the_answer_is_that_of_flask_s_own_view(
    app: Flask, settings: Settings, content: bytes, headers: dict[str, str], is_good: bool
) -> None:
    """Status, headers and body are equal."""
    token = a_token(settings) if is_good else "no-token"
    path = f"/callbacks/{token}"
    assert answers(app, path, content, **headers) == answers(by_flask(settings), path, content, **headers)


def test_the_line_in_the_access_log_is_that_of_flask_s_own_view(
    app: Flask, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Both lines have the same fields: method, route, status, token, reason."""
    caplog.set_level(logging.INFO, logs.access.name)
    for each in (app, by_flask(settings)):
        answers(each, "/callbacks/no-token", b"")
    varying = {"ms", "request_id"}
    said = [
        {name: getattr(each, name) for name in logs.LOG_FIELDS if hasattr(each, name) and name not in varying}
        for each in caplog.records
        if each.name == "access"
    ]
    assert said[0] == said[1]
    assert said[0] == {
        "method": "POST",
        "route": "/callbacks/<anything:token>",
        "status": 403,
        "token": fingerprint("no-token"),
        "reason": "bad_token",
    }


@pytest.mark.parametrize("fault", [RuntimeError("the secret of the house"), RecursionError()])
def test_an_internal_error_is_never_a_4xx(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The answer is 500 and a problem document that shows nothing of the exception."""

    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr("app.receiver.views.take", broken)
    status, headers, text = answers(app, f"/callbacks/{a_token(settings)}", body())
    assert (status, headers["Content-Type"]) == (500, "application/problem+json")
    assert "secret" not in text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(app: Flask, method: str) -> None:
    answer = app.test_client().open("/callbacks/a", method=method)
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"OPTIONS", "POST"})
