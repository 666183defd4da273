"""The access log: one line for each request, with the route instead of the path, and the request's id."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Flask, Response, g, request

from app.core import traces
from app.core.logs import access, begin_about
from app.core.logs.origin import Origin, origin_of

Fields = dict[str, Any]
"""Fields of ``app.core.logs.LOG_FIELDS``. None is a caller's text, except ids whose form was checked."""


def init_app(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.origin = origin_in(request.environ)
        if request.endpoint != _CALLBACK:
            g.step = traces.span(f"{_known(request.method)} {_route()}", "server", g.origin.traceparent)
            g.step.__enter__().tell({"request_id": g.origin.request_id})
        begin_about(g.origin._replace(traceparent=traces.current_step().traceparent or g.origin.traceparent))

    @app.after_request
    def line(response: Response) -> Response:
        if step := g.pop("step", None):
            traces.current_step().tell({"status": response.status_code})
            step.__exit__(None, None, None)
        origin = g.get("origin")
        if origin:
            response.headers["X-Request-Id"] = origin.request_id
        fields: Fields = g.get("log_fields") or (fields_of(origin) if origin else {})
        log_access(request.method, _route(), response.status_code, g.get("started"), fields)
        return response


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "(no route)"


def origin_in(environ: dict[str, Any]) -> Origin:
    """The origin of a WSGI request."""
    return origin_of(environ.get("HTTP_X_REQUEST_ID"), environ.get("HTTP_TRACEPARENT"))


def fields_of(origin: Origin) -> Fields:
    if not origin.traceparent:
        return {"request_id": origin.request_id}
    return {"request_id": origin.request_id, "trace_id": origin.trace_id}


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_CALLBACK = "receiver.callback"
"""The route of callbacks, whose view makes its own span: most callbacks are answered before Flask."""
_OFTEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that machines call every few seconds: logged at DEBUG if the answer is not an error."""


def _known(method: str) -> str:
    return method if method in _METHODS else "(unknown method)"


def log_access(method: str, route: str, status: int, started: float | None, fields: Fields) -> None:
    """One request. Nothing in it is text of a caller's: the route and not the path, a method that HTTP has (RFC 9110,
    RFC 5789), and fields that our own code has set: fingerprints, reasons, and ids whose form was checked."""
    level = logging.DEBUG if route in _OFTEN and status < 500 else logging.INFO
    if not access.isEnabledFor(level):
        return
    method = _known(method)
    now = time.perf_counter()
    took = round((now - (started or now)) * 1000, 1)
    message = f"{method} {route} {status} {took}ms"
    # Not `access.info`, which looks through the stack for its caller.
    record = logging.LogRecord(access.name, level, __file__, 0, message, None, None)
    record.__dict__.update(fields, method=method, route=route, status=status, ms=took)
    access.handle(record)
