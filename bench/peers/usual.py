"""A typical hand-written callback endpoint: it parses the body, puts a dict on the queue, and answers."""

from __future__ import annotations

import os
from typing import Any

from defusedxml import ElementTree
from flask import Flask, request
from redis import Redis
from rq import Queue

app = Flask(__name__)
queue = Queue("usual", connection=Redis.from_url(os.environ["REDIS_URL"]))


@app.post("/")
def callback() -> str:
    if request.data.lstrip().startswith(b"<"):
        root = ElementTree.fromstring(request.data)
        payload: Any = _as_dict(root.find("JobsDetail"))
    else:
        payload = request.get_json(force=True)["JobsDetail"]
    queue.enqueue("bench.peers.usual.process", payload)
    return ""


@app.get("/healthz")
def healthz() -> str:
    return ""


def _as_dict(node: Any) -> Any:
    return {child.tag: _as_dict(child) for child in node} if len(node) else node.text


def process(payload: Any) -> None:
    """The queued job."""
