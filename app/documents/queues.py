"""CI's queues of a bucket."""

from __future__ import annotations

from pydantic import BaseModel

from app.provider import Queue


class QueueList(BaseModel):
    """The queues that CI has for a bucket."""

    queues: list[Queue]
