"""Minimal Flask views: one reads a body, the others return prepared bytes."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response, request

app = Flask(__name__)

ANSWERS = {
    path.name: path.read_bytes() for path in Path(os.environ.get("BENCH_ANSWERS", os.devnull)).glob("*")
}
"""By name: the bytes that our own service returns."""


@app.post("/")
def callback() -> str:
    request.get_data()
    return ""


@app.get("/same/<name>")
def same(name: str) -> Response:
    """Return the bytes of that name, as JSON."""
    return Response(ANSWERS[name], mimetype="application/json")


@app.get("/unchanged")
def unchanged() -> Response:
    return Response(status=304, headers={"ETag": request.headers.get("If-None-Match", "")})


@app.get("/healthz")
def healthz() -> str:
    return ""
