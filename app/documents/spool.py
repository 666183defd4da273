"""Spooled callbacks that were set aside."""

from __future__ import annotations

from pydantic import BaseModel


class SetAsideView(BaseModel):
    """One record, or one damaged file: ``since`` when and why it was set aside, and the jobs that it names."""

    file: str
    since: str
    bytes: int
    reason: str
    job_ids: list[str]
