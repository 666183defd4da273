"""Reading a request body that a stranger may have made: bounded in size and in time."""

from __future__ import annotations

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app.problems import Problem

_CHUNK = 64 * 1024


def read_body(request: Request, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes; a larger one is refused before it is read.

    How long it may take is the server's to bound (``app/server.py``), which sees each packet; a check here, between
    pieces of many, would see a trickle only once.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    request.max_content_length = limit
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Problem("content_encoding", "Send the body as it is, without a Content-Encoding.")
    parts: list[bytes] = []
    try:
        # Not get_data(): of a chunked body it takes as much as is allowed, and calls that the whole.
        while part := request.stream.read(_CHUNK):
            parts.append(part)
        return b"".join(parts)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except (ClientDisconnected, OSError, ParseException) as error:
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise Problem("slow_body", "The body did not arrive in time.") from None
        # Too few bytes, or chunks that are none.
        raise _incomplete() from None


def _incomplete() -> Problem:
    return Problem("incomplete_body", "The body ended before its Content-Length, or its last chunk.")


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"At most {limit} bytes are taken (MAX_BODY).", limit=limit)
