"""The indexes that jobs can be listed by. Values are hashed: they are untrusted text of any length."""

from __future__ import annotations

import hashlib

from app.ci.report import Report

INDEXED_FIELDS = ("state", "tag", "queue_id", "bucket", "input_object", "user_data")


def values(report: Report) -> dict[str, str | None]:
    """What each index knows of a job."""
    return {
        "state": report.state,
        "tag": report.tag,
        "queue_id": report.queue_id,
        "bucket": report.input.bucket if report.input else None,
        "input_object": report.input.object if report.input else None,
        "user_data": report.user_data,
    }


def name(field: str, value: str) -> str:
    """The index of all jobs whose ``field`` is ``value``."""
    return f"{field}:{_hash(value)}"


def hashes(report: Report) -> dict[str, str]:
    """The hash of each value that a job can be listed by."""
    return {field: _hash(value) for field, value in values(report).items() if value}


def names(report: Report) -> list[str]:
    """All indexes that a job belongs in."""
    return [f"{field}:{value}" for field, value in hashes(report).items()]


def _hash(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest()
