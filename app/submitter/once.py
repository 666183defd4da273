"""Sends each row of a run once, even with several processes: the idempotency records hold the result of each row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from app.core.clock import now_ms
from app.store import Store, Unavailable
from app.store.submissions.idempotency import IdempotencyRecord
from app.submitter.rows import Row, RowResult
from app.submitter.send import SentElsewhere

KEPT_S = 90 * 86400
"""How long it is remembered that a row was submitted: as long as jobs are kept by default."""
SPACE = "rows"
"""The ``space`` of the idempotency records of rows."""
_SENDING = (
    "another run is sending it, or ended while it did; start the same command again to see whether CI has it"
)
_FORGOTTEN = "an earlier run sent it, and its submission is no longer stored; look for the job in CI's list"


class RowTaken(SentElsewhere):
    """Another run has sent the row; ``result`` is its result."""

    def __init__(self, result: RowResult) -> None:
        self.result = result


class Once:
    """The record of one row of a run. Raises ``Unavailable``."""

    def __init__(self, store: Store, run_name: str, row: Row) -> None:
        self._records, self._submissions = store.idempotency, store.submissions
        self._row, self._name = row, f"{run_name}.{row.key}"

    def before(self) -> RowResult | None:
        """The result of an earlier or another run for the row; ``None`` if CI certainly has no job of it."""
        found = self._records.get(SPACE, self._name)
        return self._result(found) if found else None

    @contextlib.contextmanager
    def claim(self, submission: str) -> Iterator[None]:
        """Store the submission inside the block, and send it after. Raises ``RowTaken`` if another run has the row.

        The row is claimed before the block, so that the record is as durable as the submission, and confirmed after it.
        Another run may take over a claim without a submission, because its run may have died there; a run that was only
        slow learns at the confirmation that it has lost the row.
        """
        claimed = IdempotencyRecord(self._row.key, submission, now_ms())
        while before := self._records.take(SPACE, self._name, claimed, KEPT_S):
            if result := self._result(before):
                raise RowTaken(result)
            if self._swap(before, claimed):
                break
        yield
        if not self._swap(claimed, claimed.answered({"job_ids": []})):
            raise RowTaken(RowResult(self._row, "lost", error=_SENDING))

    def settle(self, submission: str, job_ids: tuple[str, ...]) -> None:
        """Record the jobs that CI made of the row, for longer than jobs are stored; without any, free the row."""
        with contextlib.suppress(Unavailable):  # the submission says the same
            found = self._records.get(SPACE, self._name)
            if found and found.submission == submission:
                self._swap(found, found.answered({"job_ids": list(job_ids)}) if job_ids else None)

    def _result(self, before: IdempotencyRecord) -> RowResult | None:
        if job_ids := (before.answer or {}).get("job_ids"):
            return RowResult(self._row, "before", before.submission, tuple(job_ids))
        left = self._submissions.get(before.submission)
        if left is None:
            # Claimed and not confirmed: nothing was stored, and so nothing sent.
            forgotten = RowResult(self._row, "lost", before.submission, error=_FORGOTTEN)
            return None if before.answer is None else forgotten
        if left.came_to_nothing:
            return None
        if left.status == "submitted":
            self.settle(left.id, left.job_ids)
            return RowResult(self._row, "before", left.id, left.job_ids)
        return RowResult(self._row, "lost", left.id, left.job_ids, error=left.error or _SENDING)

    def _swap(self, old: IdempotencyRecord, new: IdempotencyRecord | None) -> bool:
        return self._records.swap(SPACE, self._name, old, new, KEPT_S)
