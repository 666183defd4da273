"""The application with a fault of our own in it, to see what is said of that."""

from __future__ import annotations

from flask import Flask, request

from app import create_app


def create() -> Flask:
    app = create_app()

    @app.before_request
    def fault() -> None:
        if "X-Fault" in request.headers:
            raise RuntimeError(f"this went wrong at {request.url}, with {request.path!r}")

    inner = app.wsgi_app

    def outer(environ, start_response):  # type: ignore[no-untyped-def]
        if "HTTP_X_WORSE" in environ:
            raise RuntimeError(f"outside of Flask, at {environ['RAW_URI']}")
        return inner(environ, start_response)

    app.wsgi_app = outer  # type: ignore[method-assign]
    return app
