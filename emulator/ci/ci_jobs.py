"""`/jobs`: submit, list, describe, cancel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from emulator.ci import listing
from emulator.ci.submit import submit
from emulator.http.errors import EmulatorError
from emulator.http.tree import Node, Tree
from emulator.http.web import body, xml
from emulator.jobs.render import detail

if TYPE_CHECKING:
    from emulator.account import Target
    from emulator.jobs.jobs import Job
    from emulator.state import Emulator

MAX_IDS = 10


def jobs_blueprint(emulator: Emulator) -> Blueprint:
    """Submit, list, describe, cancel."""
    blueprint = Blueprint("jobs", __name__)

    @blueprint.post("/jobs")
    def create() -> Response:
        jobs = submit(emulator, g.target, body())
        return xml({"JobsDetail": [detail(job, job.created) for job in jobs]})

    @blueprint.get("/jobs")
    def listed() -> Response:
        target: Target = g.target
        jobs, token = listing.page(emulator.database, target, listing.read(request.args))
        return xml(_details(jobs) | ({"NextToken": token} if token else {}))

    @blueprint.get("/jobs/<id:job_ids>")
    def describe(job_ids: str) -> Response:
        target: Target = g.target
        wanted = {one: _seen(emulator, target, one) for one in job_ids.split(",") if one}
        absent: list[Node] = [one for one, job in wanted.items() if job is None]
        known = [job for job in wanted.values() if job is not None]
        return xml(_details(known) | ({"NonExistJobIds": absent} if absent else {}))

    @blueprint.put("/jobs/<id:job_ids>")
    def change(job_ids: str) -> Response:
        # `?cancel` is documented; the SDKs for Go and Python send it, those for Java and Node do not.
        _cancel(emulator, g.target, [one for one in job_ids.split(",") if one])
        return Response(b"", content_type="application/xml")

    return blueprint


def _details(jobs: list[Job]) -> Tree:
    now = time.time()
    return {"JobsDetail": [detail(job, now) for job in jobs]}


def _seen(emulator: Emulator, target: Target, job_id: str) -> Job | None:
    job = emulator.jobs.get(job_id, target.bucket)
    return job if job and target.serves(job.region) else None


def _cancel(emulator: Emulator, target: Target, job_ids: list[str]) -> None:
    """Cancel jobs that have not started, in order; stops at the first that cannot be cancelled."""
    if not 1 <= len(job_ids) <= MAX_IDS:
        raise EmulatorError("InvalidArgument", f"1 to {MAX_IDS} job ids can be cancelled at once.")
    for one in job_ids:
        job = _seen(emulator, target, one)
        if job is None:
            raise EmulatorError("ResourceNotFound", f"There is no job {one[:100]!r}.")
        if not emulator.engine.cancel(job):
            raise EmulatorError("InvalidArgument", "Only a job that has not been executed can be cancelled.")
