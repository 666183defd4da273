"""Reading a request body that a stranger may have made: bounded in size and in time."""

from __future__ import annotations

import time

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app.problems import Problem

_CHUNK = 64 * 1024
_SECONDS = 20.0


def read_body(request: Request, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes, read within 20 s; a larger one is refused before it is read."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    request.max_content_length = limit
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Problem("content_encoding", "CI sends its callbacks without a Content-Encoding; so must you.")
    until = time.monotonic() + _SECONDS
    parts: list[bytes] = []
    try:
        while part := request.stream.read(_CHUNK):
            parts.append(part)
            if time.monotonic() > until:
                raise Problem("slow_body", f"The body did not arrive within {_SECONDS:.0f} s.")
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except ClientDisconnected:
        raise Problem("incomplete_body", "The body ended before its Content-Length.") from None
    except OSError:
        raise Problem("slow_body", "The body stopped arriving.") from None
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"At most {limit} bytes are taken (MAX_BODY).", limit=limit)
