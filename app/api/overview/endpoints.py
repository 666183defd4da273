"""GET /v1/endpoints: where events are forwarded to."""

from __future__ import annotations

from flask import Blueprint

from app.api.auth import needs
from app.documents.endpoints import EndpointsDocument, EndpointView
from app.web.describe import ApiOperation, described
from app.web.services import services

blueprint = Blueprint("endpoints", __name__, url_prefix="/v1/endpoints")


@blueprint.get("")
@needs("read")
@described(ApiOperation("The endpoints that events are forwarded to", answers={200: EndpointsDocument}))
def page() -> EndpointsDocument:
    store = services().store.deliveries
    names = {each.name for each in services().settings.endpoints} | set(store.endpoints())
    return EndpointsDocument(endpoints=[EndpointView.of(store.state(name)) for name in sorted(names)])
