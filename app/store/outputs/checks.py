"""What COS answered about a job's outputs: stored beside the report, so that later news from CI does not erase it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from app.ci.report import Output, Report
from app.core.clock import now_ms, rfc3339
from app.redis.scripts import script
from app.store.accept.identity import event_id, seen_as
from app.store.database import Database

LOOKED_UP = 100
"""Outputs of one job that are looked up at most."""

FoundOutputs = Mapping[str, tuple[int, str | None]]
"""Size (bytes) and ETag of each object that exists, by ``place`` of the output."""


def place(output: Output) -> str:
    return f"{output.bucket}/{output.region}/{output.object}"


def merged(report: dict[str, Any], check: str | None) -> dict[str, Any]:
    """The report with the result of the check, if the check was of the same outputs."""
    if not check:
        return report
    outputs = Report.from_dict(report).outputs
    note = _noted(json.loads(check), outputs)
    if note is None:
        return report
    ok, found = note
    filled = []
    for output in outputs:
        size, etag = found.get(place(output), (None, None))
        filled.append(asdict(output) | {"size": size, "etag": etag})
    return report | {"outputs": filled, "outputs_ok": ok}


class Checks:
    """The results of checks of outputs."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._script = script(db.client, "record", "event", "check")

    def note(self, report: Report, found: FoundOutputs, ok: bool | None) -> bool:
        """Store the result; true if the record has changed. A job that has changed meanwhile keeps what it has.

        ``ok`` is ``None`` if all that were looked up are right, and there are more outputs than were looked up."""
        note = note_of(report.outputs, found, ok)
        now = now_ms()
        digest = report.digest
        event = event_id(event_id(report.job_id, digest), note)
        arguments: list[Any] = [self._db.prefix, report.job_id, digest, note, event, rfc3339(now)]
        arguments += [report.to_json(), now]
        return bool(self._script(args=arguments))


def note_of(outputs: Sequence[Output], found: FoundOutputs, ok: bool | None) -> str:
    """A JSON list: ``ok``, a hash of the outputs, then for each output its size, its size and ETag, or null if it does
    not exist. An ETag that equals the MD5 that CI named is left out: so the note of a few outputs stays below the 64
    bytes up to which Redis keeps the job's hash in its compact encoding."""
    rows: list[Any] = []
    for each in outputs:
        size, etag = found.get(place(each), (None, None))
        rows.append(size if etag == each.md5 or size is None else [size, etag])
    while rows and rows[-1] is None:
        rows.pop()
    return json.dumps([ok, _belongs_to(outputs), *rows], separators=(",", ":"))


def _noted(note: Any, outputs: Sequence[Output]) -> tuple[bool | None, FoundOutputs] | None:
    """The inverse of ``note_of``; also reads notes of earlier releases. ``None`` if the note is of other outputs."""
    if isinstance(note, dict):
        return (note["ok"], note["found"]) if note["of"] == _of(outputs) else None
    ok, belongs_to, *rows = note
    if belongs_to != _belongs_to(outputs):
        return None
    found = {
        place(each): tuple(row) if isinstance(row, list) else (row, each.md5)
        for each, row in zip(outputs, rows, strict=False)
        if row is not None
    }
    return ok, found


def _belongs_to(outputs: Sequence[Output]) -> str:
    return seen_as(json.dumps(_of(outputs)))


def _of(outputs: Sequence[Output]) -> list[list[str | None]]:
    """What identifies the outputs of a check: the objects and the MD5s that CI named."""
    return [[place(each), each.md5] for each in outputs]
