"""One log line for each request, with the route instead of the path."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from app.core.logs import access


def init_app(app: Flask) -> None:
    @app.before_request
    def start_clock() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def line(response: Response) -> Response:
        if access.isEnabledFor(logging.INFO):
            access.info(_access_line(response.status_code))
        return response


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def _access_line(status: int) -> str:
    """Nothing in it is text of a caller's: the route and not the path, a method that HTTP has (RFC 9110, RFC 5789),
    and fields that our own code has set: fingerprints, ids and reasons."""
    method = request.method if request.method in _METHODS else "(unknown method)"
    route = request.url_rule.rule if request.url_rule else "(no route)"
    now = time.perf_counter()
    return f"{method} {route} {status} {(now - g.get('started', now)) * 1000:.1f}ms{g.get('log_fields', '')}"
