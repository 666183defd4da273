"""The indexes that jobs can be listed by. Values are hashed: they are untrusted text of any length."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from app.ci.report import Report

INDEXED_FIELDS = ("state", "tag", "queue_id", "bucket", "input_object", "user_data")
LABEL = "label."
"""The prefix of a label's name in the name of its filter."""
LETTERS: Final = {field: str(n) for n, field in enumerate(INDEXED_FIELDS, 1)}
"""What stands for a field in keys and in ``values``: 16 bytes shorter for a value that only one job has."""
LABEL_LETTER: Final = "l"
LONGEST: Final = 1024
"""Characters of a value that jobs are searched by; longer ones are left out. CI's user data and objects are shorter."""


def values(report: Report) -> dict[str, str | None]:
    """The value of a job in each index; ``None`` where it has none."""
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
    if field.startswith(LABEL):
        return f"{LABEL_LETTER}:{_hash_of_label(field.removeprefix(LABEL), value)}"
    return f"{LETTERS[field]}:{_hash(value)}"


def label_values(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels by the names of their filters."""
    return {f"{LABEL}{each}": value for each, value in labels.items()}


def label_places(labels: Mapping[str, str]) -> str:
    """As ``places``, for labels: one hash for each. The submission stores them, and each of its jobs."""
    return "".join(_hash_of_label(each, value) for each, value in labels.items())


def places(report: Report) -> str:
    """The hash of each value that a job can be listed by, in the order of ``INDEXED_FIELDS``, blanks for none."""
    known = values(report)
    return "".join(_HASHES[field](value) if (value := known[field]) else _NONE for field in INDEXED_FIELDS)


def words(report: Report) -> list[str]:
    """For each of ``INDEXED_FIELDS`` the value that jobs are searched by, or ``''``; always ``''`` for the state."""
    known = values(report)
    return [_word(known[field]) if field != "state" else "" for field in INDEXED_FIELDS]


def _word(value: str | None) -> str:
    return value if value and len(value) <= LONGEST else ""


def names_at(places: str) -> list[str]:
    """The indexes that ``places`` stand for."""
    hashes = (places[n : n + _WIDTH] for n in range(0, len(places), _WIDTH))
    return [
        f"{letter}:{each}" for letter, each in zip(LETTERS.values(), hashes, strict=True) if each != _NONE
    ]


def label_names_at(places: str) -> list[str]:
    """The indexes that ``label_places`` stand for."""
    return [f"{LABEL_LETTER}:{places[n : n + _WIDTH]}" for n in range(0, len(places), _WIDTH)]


def names(report: Report, labels: Mapping[str, str] | None = None) -> list[str]:
    """All indexes that a job belongs in."""
    of_report = [name(field, value) for field, value in values(report).items() if value]
    return of_report + label_names_at(label_places(labels or {}))


def _hash(value: str) -> str:
    """48 bits are enough, because each reader of an index compares the job's own value too. Six of them stay below the
    64 bytes up to which Redis keeps a hash in its compact encoding (``hash-max-listpack-value``)."""
    return b64encode(hashlib.blake2b(value.encode(), digest_size=6).digest(), b"-_").decode()


_hash_again = lru_cache(maxsize=1024)(_hash)
_HASHES = dict.fromkeys(INDEXED_FIELDS, _hash) | dict.fromkeys(
    ("state", "tag", "queue_id", "bucket"), _hash_again
)
"""The values of four fields repeat from job to job."""


def _hash_of_label(label: str, value: str) -> str:
    # No label's name contains an equals sign.
    return _hash(f"{label}={value}")


_WIDTH = 8
_NONE = " " * _WIDTH
