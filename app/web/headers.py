"""Security headers of every answer: run nothing, show it in no frame, guess no type, keep no links."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, g, request

_NOTHING: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
"""For answers that are data: one that is opened in a browser does nothing."""
_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)
OF_DATA: Final = (*_ALWAYS, ("Content-Security-Policy", _NOTHING))
"""Of an answer that is data and nothing else."""


def keep_nowhere() -> None:
    """The answer to this request holds links that let anyone read: no cache may have it."""
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
        # What the router redirects to holds the Host of the request, which is the caller's own word.
        if (location := headers.get("Location", "/"))[0] != "/" and location.startswith(request.host_url):
            headers["Location"] = "/" + location.removeprefix(request.host_url).lstrip("/")
            answer.set_data(b"")
        return answer
