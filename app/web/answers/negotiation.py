"""Which media types a caller accepts (RFC 9110, 12.5.1). An unacceptable one is refused before anything is done."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flask import Flask, current_app, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app.web.describe import ApiOperation
from app.web.problems import Problem

JSON: Final = "application/json"
_JSON_VIEWS: Final = frozenset({"openapi", "problem"})
"""JSON views that have no ``ApiOperation``."""
_HEADER_MAX: Final = 1000
"""Characters of an ``Accept`` that is read; a longer one accepts anything."""


@lru_cache(maxsize=256)
def accepts(header: str | None, media: str) -> bool:
    """Whether ``Accept`` allows an answer of that media type; without the header it allows any."""
    if not header or len(header) > _HEADER_MAX:
        return True
    return parse_accept_header(header, MIMEAccept).quality(media) > 0


def init_app(app: Flask) -> None:
    @app.before_request
    def check_accept() -> None:
        """Health checks and CI's callbacks are answered whatever they accept: a 406 could lose a callback."""
        header = request.headers.get("Accept")
        media = _media(request.endpoint) if header else ()
        if media and not any(accepts(header, each) for each in media):
            raise Problem(
                "not_acceptable", f"This URL answers {' or '.join(media)}. Send that in Accept, or */*."
            )


def _media(endpoint: str | None) -> tuple[str, ...]:
    """The media types of a view's successful answers; empty for a view that is not negotiated."""
    if endpoint in _JSON_VIEWS:
        return (JSON,)
    operation: ApiOperation | None = getattr(
        current_app.view_functions.get(endpoint or ""), "operation", None
    )
    if operation is None or operation.open:
        return ()
    found = (each if isinstance(each, str) else JSON for each in operation.answers.values())
    return tuple(dict.fromkeys(each for each in found if each))
