"""What only commands print: CI's queues, and spooled callbacks that were set aside."""

from __future__ import annotations

from pydantic import BaseModel

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
