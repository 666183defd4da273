"""A Flask application that receives deliveries: it verifies each, and acts on each event once.

    FORWARD_KEY=whsec_… EVENTS=events.db flask --app examples/flask_receiver.py run --port 5000

The service delivers with FORWARD_URLS=https://…/ci and FORWARD_KEYS=whsec_… (docs/forwarding.md).
"""

from __future__ import annotations

import os
import sqlite3

from ci_receiver_client import BadDelivery, Delivery, verify
from flask import Flask, request

KEYS = os.environ["FORWARD_KEY"].split(",")
EVENTS = os.environ.get("EVENTS", "events.db")

app = Flask(__name__)


@app.post("/ci")
def receive() -> tuple[str, int]:
    try:
        delivery = verify(request.get_data(), dict(request.headers), *KEYS)
    except BadDelivery as error:
        return str(error), 401
    with sqlite3.connect(EVENTS) as database:
        database.execute("CREATE TABLE IF NOT EXISTS events (event_id TEXT PRIMARY KEY, what TEXT)")
        # A try that follows a lost answer has the same event_id: its row is there already.
        new = database.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?)", (delivery.event_id, describe(delivery))
        )
        if new.rowcount:
            act(delivery)  # if this raises, the row is rolled back, and the next try acts
    return "", 204


def act(delivery: Delivery) -> None:
    """Your own work goes here. Take longer than FORWARD_TIMEOUT only on a queue of your own."""
    app.logger.info("%s", describe(delivery))


def describe(delivery: Delivery) -> str:
    job = delivery.job
    return f"{delivery.kind}: {job.job_id} is {job.state}" if job else delivery.kind
