"""CORS (https://fetch.spec.whatwg.org/#http-cors-protocol): which other sites' scripts may read answers of the API.

None, unless ``API_CORS_ORIGINS`` names them. The API takes a key in a header and no cookie, so credentials are never
allowed, and the pages, which have a cookie, are not covered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from app.web.access_log import fields_of, log_access, origin_in
from app.web.headers import OF_DATA

_Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
_COVERED: Final = ("/v1/", "/openapi.json")
_VARY: Final = ("Vary", "Origin")
_EXPOSED: Final = (
    "Access-Control-Expose-Headers",
    "ETag, Location, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy, Idempotent-Replayed",
)
_PREFLIGHT: Final = (
    ("Access-Control-Allow-Methods", "GET, HEAD, POST"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id, traceparent",
    ),
    ("Access-Control-Max-Age", "600"),
)


def allow_origins(application: _Wsgi, origins: frozenset[str]) -> _Wsgi:
    """Answers preflights, and marks what ``application`` answers; without origins it is ``application`` itself."""
    if not origins:
        return application

    def route(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(_COVERED):
            return application(environ, start_response)
        origin = environ.get("HTTP_ORIGIN", "")
        allowed = [("Access-Control-Allow-Origin", origin)] if origin in origins else []
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            return _preflight(environ, start_response, [*allowed, *_PREFLIGHT] if allowed else [])

        def marked(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(
                status, [*headers, _VARY, *([*allowed, _EXPOSED] if allowed else [])], *more
            )

        return application(environ, marked)

    return route


def _preflight(
    environ: dict[str, Any], start_response: Any, allowed: list[tuple[str, str]]
) -> Iterable[bytes]:
    started, origin = time.perf_counter(), origin_in(environ)
    start_response("204 NO CONTENT", [*OF_DATA, _VARY, *allowed, ("X-Request-Id", origin.request_id)])
    log_access("OPTIONS", "(preflight)", 204, started, fields_of(origin))
    return ()
