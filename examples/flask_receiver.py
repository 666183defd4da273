"""A Flask application that receives deliveries: it verifies each, and acts on each event once (inbox.py).

    FORWARD_KEY=whsec_… EVENTS=events.db flask --app examples/flask_receiver.py run --port 5000

The service delivers with FORWARD_URLS=https://…/ci and FORWARD_KEYS=whsec_… (docs/forwarding.md).
"""

from __future__ import annotations

import os

from ci_receiver_client import BadDelivery, verify
from flask import Flask, request
from inbox import act_once

app = Flask(__name__)


@app.post("/ci")
def receive() -> tuple[str, int]:
    try:
        delivery = verify(request.get_data(), dict(request.headers), *os.environ["FORWARD_KEY"].split(","))
    except BadDelivery as error:
        return str(error), 401
    act_once(delivery)
    return "", 204
