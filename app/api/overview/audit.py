"""GET /v1/audit: who did what."""

from __future__ import annotations

from flask import Blueprint

from app.api.auth import needs
from app.api.requests import PageQuery, read_query
from app.documents.access import AuditPage
from app.web.describe import ApiOperation, described
from app.web.services import services

blueprint = Blueprint("audit", __name__, url_prefix="/v1/audit")


@blueprint.get("")
@needs("admin")
@described(
    ApiOperation(
        "What people did by page, API or command, newest first; 10,000 submissions and 10,000 others",
        query=PageQuery,
        answers={200: AuditPage},
    )
)
def page() -> AuditPage:
    query = read_query(PageQuery)
    return AuditPage.of(*services().store.audit.page(query.limit, query.cursor))
