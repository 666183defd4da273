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
        route = request.url_rule.rule if request.url_rule else "(no route)"
        log_access(request.method, route, response.status_code, g.get("started"), g.get("log_fields", ""))
        return response


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def log_access(method: str, route: str, status: int, started: float | None, fields: str) -> None:
    """One request. Nothing in it is text of a caller's: the route and not the path, a method that HTTP has (RFC 9110,
    RFC 5789), and fields that our own code has set: fingerprints, ids and reasons."""
    if not access.isEnabledFor(logging.INFO):
        return
    if method not in _METHODS:
        method = "(unknown method)"
    now = time.perf_counter()
    took = (now - (started or now)) * 1000
    message = f"{method} {route} {status} {took:.1f}ms{fields}"
    # Not `access.info`, which looks through the stack for its caller.
    access.handle(logging.LogRecord(access.name, logging.INFO, __file__, 0, message, None, None))
