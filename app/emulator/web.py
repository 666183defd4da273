"""What CI's endpoints share: reading a body, answering in XML."""

from __future__ import annotations

from flask import Response, request

from .errors import EmulatorError
from .render import answer
from .tree import Tree


def body() -> bytes:
    """The request's body. Raises EmulatorError `MissingContentLength` (411)."""
    if request.content_length is None:
        raise EmulatorError("MissingContentLength", "Content-Length is required.")
    return request.get_data()


def xml(tree: Tree) -> Response:
    return Response(answer(tree), content_type="application/xml")
