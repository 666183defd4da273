"""Security headers of every answer: no scripts, no frames, no guessing of types, no referrer."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, g, request

_NOTHING: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
"""The policy of answers that are data: opened in a browser, they run and load nothing."""
_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)
OF_DATA: Final = (*_ALWAYS, ("Content-Security-Policy", _NOTHING))
"""The headers of an answer that is data."""


def keep_nowhere() -> None:
    """Mark the answer to this request as not to be cached: it contains presigned links."""
    g.no_store = True


def init_app(app: Flask) -> None:
    @app.after_request
    def protect(answer: Response) -> Response:
        headers = answer.headers
        for name, value in OF_DATA:
            if name not in headers:
                headers.add(name, value)
        if g.get("no_store"):
            headers["Cache-Control"] = "no-store"
        if request.method == "OPTIONS" and not answer.content_length:
            headers.pop("Content-Type", None)  # Of nothing; Flask would say text/html.
        # The router's redirects contain the Host header, which the caller chose.
        if (location := headers.get("Location", "/"))[0] != "/" and location.startswith(request.host_url):
            headers["Location"] = "/" + location.removeprefix(request.host_url).lstrip("/")
            answer.set_data(b"")
        return answer
