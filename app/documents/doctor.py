"""What ``flask doctor --json`` prints."""

from __future__ import annotations

from pydantic import BaseModel

from app.doctor.finding import FindingLevel


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
