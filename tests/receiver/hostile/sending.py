"""Sends a body, and reads what was stored of it in every view."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import requests

from harness.servers import Web
from tests.receiver.callbacks import a_token, post


def send(web: Web, content: bytes) -> requests.Response:
    """The body is accepted or refused with 4xx, soon."""
    started = time.monotonic()
    answer = post(web.url, a_token(web.settings), content)
    assert answer.status_code in {200, 400, 413, 415}, answer.text
    assert time.monotonic() - started < 30, "a parser that is quadratic takes minutes"
    if answer.status_code == 200:
        for result in answer.json()["results"]:
            readable(web, result["job_id"])
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert len(answer.text) < 2000
    return answer


def readable(web: Web, job_id: str) -> None:
    """Every view of the job answers 200 with JSON that is UTF-8, and the lists hold it."""
    address = f"/v1/jobs/{quote(job_id, safe='')}"
    job = web.call("GET", address)
    assert job.status_code == 200, (job_id, job.text)
    assert job.json()["job_id"] == job_id
    json.dumps(job.json(), ensure_ascii=False).encode()
    assert web.call("GET", address, headers={"If-None-Match": job.headers["ETag"]}).status_code == 304
    events = web.call("GET", f"{address}/events").json()["events"]
    assert events
    assert web.call("GET", f"{address}/events/{events[0]['entry']}/raw").status_code == 200
    assert web.call("GET", f"{address}?wait=0.1").status_code == 200
    asked = web.call("POST", f"{address}/refresh")
    assert asked.json()["reason"] in {"ci_unavailable", "ci_refused", "not_askable"}
    for field in ("state", "tag", "user_data", "queue_id"):
        value = job.json()[field]
        if value and len(value) < 2000:
            listed = web.call("GET", "/v1/jobs", params={field: value, "limit": 200})
            assert listed.status_code == 200, (field, value)
            assert job_id in [each["job_id"] for each in listed.json()["jobs"]]
    assert web.call("GET", "/v1/jobs?limit=200").status_code == 200
