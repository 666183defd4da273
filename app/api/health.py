"""Is the process up, can a callback be stored, and what do the numbers say."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from app import metrics
from app.services import services
from app.store import UNAVAILABLE

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    """The process is up; says nothing of anything else."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 while a callback can be stored. ``degraded`` names the part that is missing."""
    store = services().store
    parts: dict[str, Any] = {}
    try:
        store.presence.probe()
        parts["redis"] = "ok"
        parts |= {role: "ok" if store.presence.seen(role) else "missing" for role in ("relay", "worker")}
    except UNAVAILABLE as error:
        parts["redis"] = f"unavailable: {type(error).__name__}"
    ready = parts["redis"] == "ok"
    status = "ok" if all(part == "ok" for part in parts.values()) else "degraded" if ready else "unavailable"
    return jsonify({"status": status, "parts": parts}), 200 if ready else 503


@blueprint.get("/metrics")
def metrics_page() -> Response:
    return Response(metrics.exposition(), mimetype="text/plain; version=0.0.4")
