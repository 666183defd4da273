"""Submits many jobs: a bounded number at a time, each once, as fast as CI allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from threading import Event

from msgspec import Struct, field

from app.ci.outgoing.request import Defaults, SubmitRequest
from app.ci.outgoing.rules.broken import BrokenRule
from app.ci.outgoing.rules.rules import examine
from app.provider import ProviderError
from app.services import Services
from app.store.submissions.submissions import OverBudget
from app.submitter.draft import Draft
from app.submitter.once import Once, RowTaken
from app.submitter.pace import Pace
from app.submitter.rows import Row, RowResult, RowStatus
from app.submitter.send import Receipt, Submitter, may_be_sent_again

FILE_PATIENCE_S = 300.0
SAME_REFUSALS = 20
"""After this many consecutive errors of CI with one code, the cause is not the row: the run stops."""


class RunControl(Struct):
    """Controls a run: set ``stop`` to end it after the rows in progress; ``stop_reason`` says what stopped it."""

    stop: Event = field(default_factory=Event)
    stop_reason: str | None = None
    is_over_budget: bool = False
    _code: str | None = None
    _count: int = 0

    def note(self, result: RowResult) -> None:
        """Stop the run if CI rejects row after row for one reason: it would reject the others too."""
        if result.status != "failed" or result.ci_code != self._code:
            self._code, self._count = result.ci_code, 0
        if result.status == "failed":
            self._count += 1
            if self._count >= SAME_REFUSALS:
                self.end(f"CI has rejected {self._count} rows in a row: {result.error}")

    def end(self, why: str) -> None:
        self.stop_reason = self.stop_reason or why
        self.stop.set()


def checked(row: Row, defaults: Defaults) -> SubmitRequest | RowResult:
    """The row's request, or a result that names every broken rule."""
    if row.fault:
        return RowResult(row, "refused", broken=(BrokenRule(field="", rule=row.fault, word="row"),))
    request, broken = examine(row.data, defaults)
    if request is None or any(each.severity == "error" for each in broken):
        return RowResult(row, "refused", broken=tuple(broken))
    return request


class Many:
    """Submits rows. ``run_name`` names the run: under one name no row is sent twice, even by several processes.
    ``patience`` (seconds) is how long CI may ask us to wait with one of them."""

    def __init__(
        self, services: Services, run_name: str, pace: Pace, patience: float = FILE_PATIENCE_S
    ) -> None:
        self._store, self._run_name = services.store, run_name
        self._submitter = Submitter(services, pace=pace, patience=patience)
        self._pace = pace

    def unsent(self, rows: Iterable[Row]) -> Iterator[tuple[Row, SubmitRequest]]:
        """Rows that can be sent and were not sent before."""
        for row in rows:
            request = checked(row, self._submitter.defaults)
            if not isinstance(request, RowResult) and Once(self._store, self._run_name, row).before() is None:
                yield row, request

    def run(self, rows: Iterable[Row], parallel: int, control: RunControl) -> Iterator[RowResult]:
        """Results in the order in which rows finish. Raises ``app.store.Unavailable`` when the rows in progress are
        done; rows that were not started are left for the next run, as they are if CI cannot be reached."""
        with ThreadPoolExecutor(parallel, "submit") as threads:
            try:
                yield from self._all(threads, iter(rows), parallel, control)
            except BaseException:
                # The consumer stopped, or Redis is unavailable: threads that wait for their turn must not send.
                control.stop.set()
                self._pace.close()
                raise

    def _all(
        self, threads: ThreadPoolExecutor, rows: Iterator[Row], parallel: int, control: RunControl
    ) -> Iterator[RowResult]:
        fault: BaseException | None = None
        going = {threads.submit(self._one, row, control) for row in islice(rows, parallel)}
        while going:
            done, going = wait(going, return_when=FIRST_COMPLETED)
            for each in done:
                fault = fault or each.exception()
                if fault:
                    control.stop.set()
                elif result := each.result():
                    control.note(result)
                    yield result
            fresh = () if control.stop.is_set() else islice(rows, parallel - len(going))
            going |= {threads.submit(self._one, row, control) for row in fresh}
        if fault:
            raise fault

    def _one(self, row: Row, control: RunControl) -> RowResult | None:
        """``None`` if the row was not attempted, or if we cannot tell."""
        if control.stop.is_set():
            return None
        try:
            return self._submit(row)
        except ProviderError as error:
            control.end(f"CI cannot be reached, or asks us to wait: {error}")
            return None
        except OverBudget as error:
            control.is_over_budget = True
            control.end(f"{error}.")
            return None

    def _submit(self, row: Row) -> RowResult:
        once = Once(self._store, self._run_name, row)
        if before := once.before():
            return before
        request = checked(row, self._submitter.defaults)
        if isinstance(request, RowResult):
            return request
        draft = self._submitter.draft(request)
        try:
            receipt = self._submitter.send(draft, once.claim(draft.submission))
        except RowTaken as taken:
            return taken.result
        except ProviderError as error:
            once.settle(draft.submission, ())
            if may_be_sent_again(error):
                raise
            return _failed(row, draft, error)
        if receipt.job_ids:
            once.settle(draft.submission, receipt.job_ids)
        return _sent(row, receipt)


def _failed(row: Row, draft: Draft, error: ProviderError) -> RowResult:
    return RowResult(
        row,
        "failed",
        draft.submission,
        broken=draft.warnings,
        error=str(error),
        ci_code=error.code,
        ci_request_id=error.request_id,
    )


def _sent(row: Row, receipt: Receipt) -> RowResult:
    status: RowStatus = "submitted" if receipt.job_ids else "lost"
    return RowResult(
        row, status, receipt.submission, receipt.job_ids, receipt.warnings, error=receipt.record.error
    )
