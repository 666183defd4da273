"""Shared by the endpoints: the request as it was received, and answers."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import Response, request

from emulator.http.errors import EmulatorError
from emulator.http.tree import Tree
from emulator.jobs.render import answer

PATH = "emulator.path"


class Bare(Response):
    """An answer without a default Content-Type; Flask sends text/html even for an empty one."""

    default_mimetype = None


def path() -> str:
    """The request's path, decoded and otherwise as it was sent: Werkzeug folds leading slashes."""
    return str(request.environ[PATH])


def query() -> tuple[tuple[str, str], ...]:
    """The decoded query; Flask would drop what it cannot decode."""
    return tuple(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True))


def body() -> bytes:
    """The request's body. Raises EmulatorError `MissingContentLength` (411)."""
    if request.content_length is None:
        raise EmulatorError("MissingContentLength", "Content-Length is required.")
    return request.get_data()


def xml(tree: Tree) -> Response:
    return Response(answer(tree), content_type="application/xml")
