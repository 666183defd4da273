"""A FastAPI application that receives deliveries: it verifies each, and acts on each event once (inbox.py).

    FORWARD_KEY=whsec_… EVENTS=events.db uvicorn --app-dir examples fastapi_receiver:app --port 5000

The service delivers with FORWARD_URLS=https://…/ci and FORWARD_KEYS=whsec_… (docs/forwarding.md).
"""

from __future__ import annotations

import os

from ci_receiver_client import BadDelivery, verify
from fastapi import FastAPI, HTTPException, Request
from inbox import act_once
from starlette.concurrency import run_in_threadpool

app = FastAPI()


@app.post("/ci", status_code=204)
async def receive(request: Request) -> None:
    # The bytes as they came: a body that FastAPI has parsed has no signature any more.
    body = await request.body()
    try:
        delivery = verify(body, request.headers, *os.environ["FORWARD_KEY"].split(","))
    except BadDelivery as error:
        raise HTTPException(401, str(error)) from None
    await run_in_threadpool(act_once, delivery)
