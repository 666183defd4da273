"""Values that several tests of the store begin with."""

from __future__ import annotations

from app.ci.incoming.payload import parse
from app.store import News
from app.store.submissions.submissions import Submission
from tests.callbacks import body


def submission(name: str) -> Submission:
    """A submission that has been stored and not sent yet."""
    return Submission(
        id=name,
        status="sending",
        submitted_at="2026-01-02T10:00:00Z",
        deadline="2099-01-02T10:00:00Z",
        callback="own",
        bucket="demo-1250000000",
        region="ap-chongqing",
    )


def news(job_id: str, state: str = "Success") -> News:
    """A verified callback."""
    text = body(job_id, state)
    return News(
        details=parse(text).details,
        source="callback",
        verification="token",
        body=text,
        token="f00f",
        received_ms=1_760_000_000_000,
        note={"verified": ["token", "binding"], "format": "json", "token": "f00f"},
        ask_after=60.0,
    )
