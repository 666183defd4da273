"""Files that an earlier release submitted. It kept a journal beside each file: a line of JSON that names the run, then
a line with the result of each row. Submitted rows are copied into the idempotency records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.clock import now_ms
from app.store.submissions.idempotency import IdempotencyRecord, IdempotencyRecords
from app.submitter.once import KEPT_S, SPACE


def take_over(journal: Path, records: IdempotencyRecords) -> str | None:
    """The name under which the run continues; ``None`` if there is no journal. Can be repeated."""
    if not journal.exists():
        return None
    head, *lines = [*_lines(journal)] or [{}]
    if head.get("journal") != 1:
        return None
    for line in lines:
        if line.get("status") == "submitted":
            _record(records, f"{head['run']}.{line['key']}", line)
    return str(head["run"])


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    for line in journal.read_text("utf-8", "replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the run was killed
        if isinstance(value, dict):
            yield value


def _record(records: IdempotencyRecords, name: str, line: dict[str, Any]) -> None:
    answer = {"job_ids": line.get("job_ids") or []}
    record = IdempotencyRecord(str(line["key"]), str(line.get("submission")), now_ms(), answer)
    before = records.take(SPACE, name, record, KEPT_S)
    if before is not None and before.answer is None:
        # That release left its own record without the answer.
        records.swap(SPACE, name, before, record, KEPT_S)
