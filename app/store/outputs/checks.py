"""What COS says of a job's outputs: kept beside the report, so that no later news from CI can wipe it out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict

from app.ci.report import Output, Report
from app.core.clock import now_ms, rfc3339
from app.redis.scripts import script
from app.store.database import Database
from app.store.jobs.accept import event_id

LOOKED_UP = 100
"""Outputs of one job that COS is asked about at most."""

FoundOutputs = Mapping[str, tuple[int, str | None]]
"""Size and ETag of each object that is there, by ``place`` of the output."""


def place(output: Output) -> str:
    return f"{output.bucket}/{output.region}/{output.object}"


def merged(report: dict[str, Any], check: str | None) -> dict[str, Any]:
    """The report with what the check found, where it still speaks of the same outputs."""
    if not check:
        return report
    note = json.loads(check)
    outputs = Report.from_dict(report).outputs
    if note["of"] != _of(outputs):
        return report
    filled = []
    for output in outputs:
        size, etag = note["found"].get(place(output), (None, None))
        filled.append(asdict(output) | {"size": size, "etag": etag})
    return report | {"outputs": filled, "outputs_ok": note["ok"]}


class Checks:
    """Notes of checked outputs."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._script = script(db.client, "check")

    def note(self, report: Report, found: FoundOutputs, ok: bool | None) -> bool:
        """Keep what was found; whether the record has changed by it. A job that has moved on keeps what it has.

        ``ok`` is ``None`` where nothing is wrong with those that were looked up, and there are more."""
        note = json.dumps({"ok": ok, "of": _of(report.outputs), "found": found}, sort_keys=True)
        now = now_ms()
        digest = report.digest
        event = event_id(event_id(report.job_id, digest), note)
        arguments: list[Any] = [self._db.prefix, report.job_id, digest, note, event, rfc3339(now)]
        arguments += [report.to_json(), now]
        return bool(self._script(args=arguments))


def _of(outputs: Any) -> list[list[str | None]]:
    """What a check belongs to: the objects and the MD5s that CI named."""
    return [[place(each), each.md5] for each in outputs]
