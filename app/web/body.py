"""Reading a stranger's request body, bounded in size and in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from werkzeug.wsgi import get_content_length

from app.web.problems import Problem

_CHUNK = 64 * 1024


class Unfinished(Problem):
    """The body was not read to its end; ``read`` is the part that was read."""

    read = b""


def most_bytes(environ: dict[str, Any], limit: int) -> int:
    """How many bytes ``read_body`` may read."""
    declared = get_content_length(environ)
    return limit if declared is None else min(declared, limit)


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """The whole body of a request (WSGI), at most ``limit`` bytes; a larger one is refused before it is read.

    The server (``server/worker.py``) bounds how long it may take, because it sees each packet; a check here would see a
    slow trickle of bytes as one piece.
    """
    declared = get_content_length(environ)
    if (declared or 0) > limit:
        raise _too_large(limit)
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"", "identity"}:
        raise Problem("content_encoding", "Send the body as it is, without a Content-Encoding.")
    if declared is None and not environ.get("wsgi.input_terminated"):
        return b""
    body = bytearray()
    try:
        _read(environ, limit, declared, body)
    except Unfinished as problem:
        problem.read = bytes(body[:limit])
        raise
    return bytes(body)


def _read(environ: dict[str, Any], limit: int, declared: int | None, body: bytearray) -> None:
    try:
        for piece in _pieces(environ, limit + 1 if declared is None else declared):
            body += piece
    except TimeoutError:
        raise Unfinished("slow_body", "The body did not arrive in time.") from None
    except OSError:
        raise _incomplete() from None
    if len(body) > limit:
        raise _too_large(limit)
    if declared is not None and len(body) < declared:
        raise _incomplete()


def _pieces(environ: dict[str, Any], most: int) -> Iterator[bytes]:
    # Not request.stream: with a server that ends the stream itself, it takes a cut-off body for a whole one.
    while most and (piece := environ["wsgi.input"].read(min(_CHUNK, most))):
        most -= len(piece)
        yield piece


def _incomplete() -> Unfinished:
    return Unfinished("incomplete_body", "The body ended before its Content-Length, or its last chunk.")


def _too_large(limit: int) -> Unfinished:
    return Unfinished("body_too_large", f"At most {limit} bytes are accepted (MAX_BODY).", limit=limit)
