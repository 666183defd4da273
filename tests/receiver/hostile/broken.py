"""The application with a fault built in, to test the answer and the log of an internal error."""

from __future__ import annotations

from typing import Any

from flask import Flask

from app import create_app
from app.receiver import views
from app.receiver.received import ReceivedCallback
from app.web.services import WebServices


def create() -> Flask:
    app = create_app()

    receive = views._receive

    def fault(web: WebServices, environ: dict[str, Any], received: ReceivedCallback) -> None:
        if "HTTP_X_FAULT" in environ:
            raise RuntimeError(f"this went wrong at {environ['RAW_URI']}, with {environ['PATH_INFO']!r}")
        receive(web, environ, received)

    views._receive = fault
    inner = app.wsgi_app

    def outer(environ, start_response):  # type: ignore[no-untyped-def]
        if "HTTP_X_WORSE" in environ:
            raise RuntimeError(f"outside of Flask, at {environ['RAW_URI']}")
        return inner(environ, start_response)

    app.wsgi_app = outer  # type: ignore[method-assign]
    return app
