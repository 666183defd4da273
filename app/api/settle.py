"""POST /v1/jobs/<id>/settle: a person decides a doubt."""

from __future__ import annotations

from flask import Blueprint, g
from pydantic import BaseModel, ConfigDict, Field

from app.api.auth import needs
from app.api.jobs import found, served
from app.api.requests import read_document
from app.store import Job
from app.store.jobs.doubts import Choice
from app.web.describe import ApiOperation, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("settle", __name__, url_prefix="/v1/jobs")


class SettleRequest(BaseModel):
    """``known`` keeps the job as it was known before it was contradicted, ``reported`` takes what was reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: Choice = Field(alias="as")


@blueprint.post("/<job_id>/settle")
@needs("admin")
@described(
    ApiOperation(
        "Decide a doubt that CI has not decided",
        body=SettleRequest,
        answers={200: Job},
        problems=("not_doubted", "store_unavailable"),
    )
)
def settle(job_id: str) -> Job:
    wanted = read_document(SettleRequest)
    found(job_id)
    if not services().store.doubts.settle(job_id, wanted.choice, g.api_key.name):
        raise Problem("not_doubted", "This job has no doubt to settle. See its `doubt` field.")
    return served(found(job_id))
