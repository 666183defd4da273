"""Many jobs: a bounded number at a time, none of them twice, all as fast as CI allows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from threading import Event
from typing import Literal

from app.ci.outgoing.broken import Broken
from app.ci.outgoing.request import Defaults, SubmitRequest
from app.ci.outgoing.rules import examine
from app.core.clock import now_ms
from app.provider import ProviderError
from app.store import Unavailable
from app.store.submissions.idempotency import IdempotencyRecord
from app.store.submissions.submissions import new_id
from app.submitter.pace import Pace
from app.submitter.rows import Row
from app.submitter.send import Receipt, Submitter, Taken, may_pass
from app.web.services import Services

Status = Literal["submitted", "before", "lost", "refused", "failed", "ready"]

KEPT_S = 90 * 86400
"""How long it is remembered that a row was submitted: as long as jobs are kept by default."""
PATIENCE_S = 300.0
SAME_REFUSALS = 20
"""So many refusals of CI in a row with one code mean that the fault is not the row's."""
SPACE = "rows"
"""Of the idempotency records of rows."""
_SENDING = (
    "another run is sending it, or ended while it did; start the same command again to see whether CI has it"
)
_FORGOTTEN = "an earlier run sent it, and its submission is no longer stored; look for the job in CI's list"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a row: ``submitted`` now or ``before``; ``lost`` (CI's answer; it is looked for); ``refused`` by
    the rules; ``failed`` (CI refused it: ``ci_code`` and the rest); ``ready`` (tried out: it could be sent).
    ``broken`` are the rules that it breaks, the doubtful ones too."""

    row: Row
    status: Status
    submission: str | None = None
    job_ids: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()
    error: str | None = None
    ci_code: str | None = None
    ci_request_id: str | None = None


@dataclass(slots=True)
class Course:
    """How a run goes: set ``stop`` to let it end after the rows that are under way; ``why`` says what stopped it."""

    stop: Event = field(default_factory=Event)
    why: str | None = None
    _code: str | None = None
    _count: int = 0

    def heard(self, result: Result) -> None:
        """Whether every other row would be refused for the same reason."""
        if result.status != "failed" or result.ci_code != self._code:
            self._code, self._count = result.ci_code, 0
        if result.status == "failed":
            self._count += 1
            if self._count >= SAME_REFUSALS:
                self.end(f"CI has refused {self._count} rows in a row: {result.error}")

    def end(self, why: str) -> None:
        self.why = self.why or why
        self.stop.set()


def checked(row: Row, defaults: Defaults) -> SubmitRequest | Result:
    """The row's request, or its refusal with every broken rule."""
    if row.fault:
        return Result(row, "refused", broken=(Broken(field="", rule=row.fault, word="row"),))
    request, broken = examine(row.data, defaults)
    if request is None or any(each.severity == "error" for each in broken):
        return Result(row, "refused", broken=tuple(broken))
    return request


class _TakenBefore(Taken):
    """``result`` is what the other run has made of the row."""

    def __init__(self, result: Result) -> None:
        self.result = result


class Many:
    """Submits rows. ``run_name`` names the run: under the same name no row is sent twice, by however many processes.
    ``patience`` (seconds) is how long CI may ask us to wait with one of them."""

    def __init__(self, services: Services, run_name: str, pace: Pace, patience: float = PATIENCE_S) -> None:
        self._records, self._submissions = services.store.idempotency, services.store.submissions
        self._submitter = Submitter(services, pace=pace, patience=patience)
        self._pace = pace
        self._run_name = run_name

    def run(self, rows: Iterable[Row], parallel: int, course: Course) -> Iterator[Result]:
        """Results in the order in which they come. Raises ``Unavailable`` of the store when the rows under way are
        done: what has not been begun is left for the next run, as it is when CI cannot be reached."""
        with ThreadPoolExecutor(parallel, "submit") as threads:
            try:
                yield from self._all(threads, iter(rows), parallel, course)
            except BaseException:
                # Whoever listens has gone, or Redis has: those who wait for their turn need not.
                course.stop.set()
                self._pace.close()
                raise

    def _all(
        self, threads: ThreadPoolExecutor, rows: Iterator[Row], parallel: int, course: Course
    ) -> Iterator[Result]:
        fault: BaseException | None = None
        going = {threads.submit(self._one, row, course) for row in islice(rows, parallel)}
        while going:
            done, going = wait(going, return_when=FIRST_COMPLETED)
            for each in done:
                fault = fault or each.exception()
                if fault:
                    course.stop.set()
                elif result := each.result():
                    course.heard(result)
                    yield result
            fresh = () if course.stop.is_set() else islice(rows, parallel - len(going))
            going |= {threads.submit(self._one, row, course) for row in fresh}
        if fault:
            raise fault

    def _one(self, row: Row, course: Course) -> Result | None:
        """``None``: it was not tried, or CI could not be reached."""
        if course.stop.is_set():
            return None
        try:
            return self._submit(row)
        except ProviderError as error:
            course.end(f"CI cannot be reached, or asks us to wait: {error}")
            return None

    def _submit(self, row: Row) -> Result:
        before = self._records.get(SPACE, self._name(row))
        if before and (result := self._result_of(row, before)):
            return result
        request = checked(row, self._submitter.defaults)
        if isinstance(request, Result):
            return request
        claimed = IdempotencyRecord(row.key, new_id(), now_ms())
        sent = claimed.answered({"job_ids": []})
        draft = self._submitter.draft(request, claimed.submission)
        try:
            receipt = self._submitter.send(draft, self._claim(row, claimed, sent))
        except _TakenBefore as taken:
            return taken.result
        except ProviderError as error:
            self._settle(row, sent, None)
            if may_pass(error):
                raise
            return _failed(row, claimed.submission, draft.warnings, error)
        if receipt.job_ids:
            self._settle(row, sent, receipt.job_ids)
        return _sent(row, receipt)

    @contextlib.contextmanager
    def _claim(self, row: Row, claimed: IdempotencyRecord, sent: IdempotencyRecord) -> Iterator[None]:
        """The row is claimed before its submission is stored, so that the record is as safe as that; and confirmed
        after. A claim without a submission may be taken over, because its run may have died there: then the one that
        was slower finds at the confirmation that it has lost the row."""
        name = self._name(row)
        while before := self._records.take(SPACE, name, claimed, KEPT_S):
            if result := self._result_of(row, before):
                raise _TakenBefore(result)
            if self._records.swap(SPACE, name, before, claimed, KEPT_S):
                break
        yield
        if not self._records.swap(SPACE, name, claimed, sent, KEPT_S):
            raise _TakenBefore(Result(row, "lost", error=_SENDING))

    def _result_of(self, row: Row, before: IdempotencyRecord) -> Result | None:
        """What an earlier or another run has made of the row; ``None`` where CI certainly has no job of it."""
        if job_ids := (before.answer or {}).get("job_ids"):
            return Result(row, "before", before.submission, tuple(job_ids))
        left = self._submissions.get(before.submission)
        if left is None:
            # Claimed only: nothing was stored, and so nothing sent.
            forgotten = Result(row, "lost", before.submission, error=_FORGOTTEN)
            return None if before.answer is None else forgotten
        if left.came_to_nothing:
            return None
        if left.status == "submitted":
            self._settle(row, before, left.job_ids)
            return Result(row, "before", left.id, left.job_ids)
        return Result(row, "lost", left.id, left.job_ids, error=left.error or _SENDING)

    def _settle(self, row: Row, record: IdempotencyRecord, job_ids: tuple[str, ...] | None) -> None:
        """Keep which jobs CI has made of the row, for longer than they are stored; ``None``: it has made none."""
        new = record.answered({"job_ids": list(job_ids)}) if job_ids else None
        with contextlib.suppress(Unavailable):  # the submission says the same
            self._records.swap(SPACE, self._name(row), record, new, KEPT_S)

    def _name(self, row: Row) -> str:
        return f"{self._run_name}.{row.key}"


def _failed(row: Row, submission: str, warnings: tuple[Broken, ...], error: ProviderError) -> Result:
    return Result(
        row,
        "failed",
        submission,
        broken=warnings,
        error=str(error),
        ci_code=error.code,
        ci_request_id=error.request_id,
    )


def _sent(row: Row, receipt: Receipt) -> Result:
    status: Status = "submitted" if receipt.job_ids else "lost"
    return Result(
        row, status, receipt.submission, receipt.job_ids, receipt.warnings, error=receipt.record.error
    )
