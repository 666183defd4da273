"""What CI says, made short for tests of the store."""

from __future__ import annotations

import json
from typing import Any

from app.ci.report import TERMINAL, Detail, Input, Report
from app.store import Acceptor, News, Outcome, Store
from app.store.accept.news import Source


def said(job_id: str, state: str | None, ended_at: str | None = None, **more: Any) -> Detail:
    """One JobsDetail; ``more`` are fields of the report."""
    report = Report(
        job_id=job_id,
        tag=more.pop("tag", "VoiceSeparate"),
        state=state,
        terminal=state in TERMINAL,
        ended_at=ended_at,
        created_at=more.pop("created_at", "2022-06-27T07:23:10Z"),
        input=Input(bucket="demo-1250000000", region="ap-chongqing", object="input/demo.mp3"),
        **more,
    )
    return Detail(report=report, raw={"JobId": job_id, "State": state})


def tell(
    where: Store | Acceptor,
    *details: Detail,
    source: Source = "callback",
    body: bytes | None = None,
    **more: Any,
) -> list[Outcome]:
    """Store reports as the receiver, the reconciliation or the submitter would."""
    acceptor = where.acceptor if isinstance(where, Store) else where
    news: dict[str, Any] = {
        "verification": "token" if source == "callback" else "confirmed",
        "body": json.dumps({"JobsDetail": [detail.raw for detail in details]}).encode()
        if body is None
        else body,
        "ask_after": 3600.0,
        **more,
    }
    return acceptor.accept(News(details=details, source=source, **news))
