"""What the endpoints share: XML answers."""

from __future__ import annotations

from flask import Response

from .render import answer
from .tree import Tree


def xml(tree: Tree) -> Response:
    return Response(answer(tree), content_type="application/xml")
