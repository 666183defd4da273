"""The minimal service for a submission that must not be lost: it stores it, sends it to CI, and stores the answer.

It checks no rules and no API key, makes no token and no history, and does not parse CI's answer.
"""

from __future__ import annotations

import logging
import os
import uuid
from urllib.parse import urlsplit

from flask import Flask, jsonify, request
from qcloud_cos import CosConfig, CosS3Client  # type: ignore[attr-defined]
from redis import Redis
from werkzeug.wrappers import Response

from bench.peers.sdk_calls import job

logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)
app = Flask(__name__)
store = Redis.from_url(os.environ["REDIS_URL"])
bucket, region = os.environ["COS_BUCKET"], os.environ["COS_REGION"]
_ci = urlsplit(os.environ["CI_ENDPOINT"])
client = CosS3Client(  # type: ignore[no-untyped-call]
    CosConfig(  # type: ignore[no-untyped-call]
        Region=region,
        SecretId="emulator",
        SecretKey="emulator",
        Scheme=_ci.scheme,
        IP=_ci.hostname,
        Port=_ci.port,
    ),
    retry=0,
)


@app.post("/v1/jobs")
def submit() -> tuple[Response, int]:
    wanted = request.get_json()
    submission = uuid.uuid4().hex
    # The server syncs each of the two to its disk before it answers.
    store.hset(f"submit:{submission}", mapping={"status": "sending", "request": request.get_data()})
    answer = client.ci_create_media_jobs(  # type: ignore[no-untyped-call]
        Bucket=bucket, Jobs=job(bucket, region, wanted["input"]["object"]), Lst={}
    )
    job_id = answer["JobsDetail"][0]["JobId"]
    store.hset(f"submit:{submission}", mapping={"status": "submitted", "job_id": job_id})
    return jsonify(job_id=job_id, submission=submission), 201


@app.get("/healthz")
def healthz() -> str:
    return ""
