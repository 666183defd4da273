"""What only commands print: CI's queues, spooled callbacks that were set aside, the findings of the doctor."""

from __future__ import annotations

from pydantic import BaseModel

from app.doctor.finding import FindingLevel
from app.provider import Queue


class QueueList(BaseModel):
    """The queues that CI has for a bucket."""

    queues: list[Queue]


class SetAsideView(BaseModel):
    """One record, or one damaged stretch of a file: when (``since``) and why it was set aside, and its jobs."""

    file: str
    since: str
    bytes: int
    reason: str
    job_ids: list[str]


class FindingView(BaseModel):
    """One result of one check: ``todo`` is what to do about it."""

    level: FindingLevel
    what: str
    said: str
    todo: str


class Diagnosis(BaseModel):
    """``ok`` if no check failed."""

    ok: bool
    findings: list[FindingView]
