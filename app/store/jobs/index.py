"""The indexes that jobs can be listed by. Values are hashed: they are untrusted text of any length."""

from __future__ import annotations

import hashlib
from base64 import b64encode

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


def places(report: Report) -> str:
    """The hash of each value that a job can be listed by, in the order of ``INDEXED_FIELDS``, all of the same width."""
    known = values(report)
    return "".join(_hash(value) if (value := known[field]) else _NONE for field in INDEXED_FIELDS)


def names_at(places: str) -> list[str]:
    """The indexes that ``places`` stand for."""
    hashes = (places[n : n + _WIDTH] for n in range(0, len(places), _WIDTH))
    return [f"{field}:{each}" for field, each in zip(INDEXED_FIELDS, hashes, strict=True) if each != _NONE]


def names(report: Report) -> list[str]:
    """All indexes that a job belongs in."""
    return [name(field, value) for field, value in values(report).items() if value]


def _hash(value: str) -> str:
    """48 bits are enough, because each reader of an index looks at the job's value too. Six of them stay below the 64
    bytes up to which a hash of Redis is small."""
    return b64encode(hashlib.blake2b(value.encode(), digest_size=6).digest(), b"-_").decode()


_WIDTH = 8
_NONE = " " * _WIDTH
