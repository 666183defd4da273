"""/docs: the reference of the API, made of ``/openapi.json``."""

from __future__ import annotations

from flask import Response, make_response, render_template

from app.api.document.openapi import openapi_document
from app.pages import blueprint
from app.pages.reference import models, operation_groups, prose


@blueprint.get("/docs")
def reference_moved() -> Response:
    """A relative URL, so that it contains nothing of the request's Host."""
    return Response(status=308, headers={"Location": "docs/"})


@blueprint.get("/docs/")
def reference() -> Response:
    document = openapi_document()
    return make_response(
        render_template(
            "docs/reference.html",
            introduction=prose(document["info"]["description"]),
            groups=operation_groups(document),
            models=models(document),
        )
    )
