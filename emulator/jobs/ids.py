"""Identifiers and times in CI's forms."""

from __future__ import annotations

import base64
import secrets
import time
from datetime import UTC, datetime, timedelta, timezone

_BEIJING = timezone(timedelta(hours=8))
PATTERN = "[A-Za-z0-9_,-]+"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%z"

# First letter of a job's id by tag; every other tag has j.
_JOB_LETTER = {"PicProcess": "c", "DocProcess": "d", "SpeechRecognition": "s", "Translation": "a"}


def job_id(tag: str) -> str:
    return _JOB_LETTER.get(tag, "j") + secrets.token_hex(16)


def template_id() -> str:
    return "t" + secrets.token_hex(16)


def request_id() -> str:
    """In the form of CI's: base64 of a time and random digits."""
    return base64.b64encode(f"{int(time.time()):x}_{secrets.token_hex(8)}".encode()).decode()


def moment(at: float | None) -> str:
    """`2022-06-27T15:23:10+0800`, or `-` for None."""
    return "-" if at is None else datetime.fromtimestamp(at, _BEIJING).strftime(TIME_FORMAT)


def read_moment(text: str) -> float:
    """Unix seconds of a time in CI's form. Raises ValueError."""
    return datetime.strptime(text, TIME_FORMAT).timestamp()  # noqa: DTZ007  the format has the offset


def http_date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def iso_date(at: float) -> str:
    """`2019-05-24T10:56:40.000Z`, the format of COS's object lists."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
