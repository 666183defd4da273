"""GET /v1/stats: counts by state and tag, throughput and failures by the hour."""

from __future__ import annotations

from flask import Blueprint

from app.api.auth import needs
from app.ci.incoming.made.nodes import TAGS
from app.documents.stats import StatsView
from app.web.describe import ApiOperation, described
from app.web.services import services

blueprint = Blueprint("stats", __name__, url_prefix="/v1")


@blueprint.get("/stats")
@needs("read")
@described(
    ApiOperation("Counts by state and tag, throughput and failures by the hour", answers={200: StatsView})
)
def stats() -> StatsView:
    return StatsView.of(services().store.stats.counts(sorted(TAGS)))
