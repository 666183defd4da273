"""A FastAPI application that receives deliveries: it verifies each, and acts on each event once.

    FORWARD_KEY=whsec_… EVENTS=events.db uvicorn --app-dir examples fastapi_receiver:app --port 5000

The service delivers with FORWARD_URLS=https://…/ci and FORWARD_KEYS=whsec_… (docs/forwarding.md).
"""

from __future__ import annotations

import logging
import os
import sqlite3

from ci_receiver_client import BadDelivery, Delivery, verify
from fastapi import FastAPI, HTTPException, Request
from starlette.concurrency import run_in_threadpool

KEYS = os.environ["FORWARD_KEY"].split(",")
EVENTS = os.environ.get("EVENTS", "events.db")

app = FastAPI()


@app.post("/ci", status_code=204)
async def receive(request: Request) -> None:
    # The bytes as they came: a body that FastAPI has parsed has no signature any more.
    body = await request.body()
    try:
        delivery = verify(body, request.headers, *KEYS)
    except BadDelivery as error:
        raise HTTPException(401, str(error)) from None
    await run_in_threadpool(act_once, delivery)


def act_once(delivery: Delivery) -> None:
    with sqlite3.connect(EVENTS) as database:
        database.execute("CREATE TABLE IF NOT EXISTS events (event_id TEXT PRIMARY KEY, what TEXT)")
        # A try that follows a lost answer has the same event_id: its row is there already.
        new = database.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?)", (delivery.event_id, describe(delivery))
        )
        if new.rowcount:
            act(delivery)  # if this raises, the row is rolled back, and the next try acts


def act(delivery: Delivery) -> None:
    """Your own work goes here. Take longer than FORWARD_TIMEOUT only on a queue of your own."""
    logging.getLogger("uvicorn").info("%s", describe(delivery))


def describe(delivery: Delivery) -> str:
    job = delivery.job
    return f"{delivery.kind}: {job.job_id} is {job.state}" if job else delivery.kind
