"""Many jobs: a bounded number at a time, none of them twice, all as fast as CI allows."""

from __future__ import annotations

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
from app.store.submissions.marks import Mark
from app.store.submissions.submissions import Submission, new_id
from app.submitter.journal import Journal
from app.submitter.pace import Pace
from app.submitter.rows import Row
from app.submitter.send import Receipt, Submitter, may_pass
from app.web.services import Services

Status = Literal["submitted", "before", "lost", "refused", "failed", "ready"]

MARKS_KEPT_S = 30 * 86400
PATIENCE_S = 300.0
SAME_REFUSALS = 20
"""After this many consecutive errors of CI with one code, the cause is not the row: the run stops."""
_SPACE = "rows"
_UNKNOWN = "it was in flight when an earlier run ended; the relay is searching CI's list for it"


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


class Many:
    """Submits rows. ``patience`` (seconds) is how long CI may ask us to wait with one of them."""

    def __init__(
        self, services: Services, journal: Journal, pace: Pace, patience: float = PATIENCE_S
    ) -> None:
        self._store = services.store
        self._submitter = Submitter(services, pace=pace, patience=patience)
        self._pace = pace
        self._journal = journal

    def run(self, rows: Iterable[Row], parallel: int, course: Course) -> Iterator[Result]:
        """Results in the order in which they come. Raises ``Unavailable`` of the store when the rows under way are
        done: what has not been begun is left for the next run, as it is when CI cannot be reached."""
        with ThreadPoolExecutor(parallel, "submit") as threads:
            try:
                yield from self._all(threads, iter(rows), parallel, course)
            except BaseException:
                # The consumer has stopped, or Redis is unavailable: threads that wait for their turn must not go on.
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
        """``None`` if the row was not attempted, or if we cannot tell."""
        if course.stop.is_set():
            return None
        if kept := self._journal.done(row.key):
            return Result(row, "before", kept.get("submission"), tuple(kept.get("job_ids", ())))
        try:
            result = self._submit(row)
        except ProviderError as error:
            course.end(f"CI cannot be reached, or asks us to wait: {error}")
            return None
        self._journal.note(
            {
                "key": row.key,
                "row": row.number,
                "status": "submitted" if result.status == "before" else result.status,
                "submission": result.submission,
                "job_ids": list(result.job_ids),
            }
        )
        return result

    def _submit(self, row: Row) -> Result:
        request = checked(row, self._submitter.defaults)
        if isinstance(request, Result):
            return request
        submission = new_id()
        left = self._marked(row, submission)
        if left is not None:
            status: Status = "before" if left.status == "submitted" else "lost"
            error = left.error if status == "before" else left.error or _UNKNOWN
            return Result(row, status, left.id, left.job_ids, error=error)
        draft = self._submitter.draft(request, submission)
        try:
            receipt = self._submitter.send(draft)
        except ProviderError as error:
            if may_pass(error):
                raise
            return Result(
                row,
                "failed",
                submission,
                broken=draft.warnings,
                error=str(error),
                ci_code=error.code,
                ci_request_id=error.request_id,
            )
        return _sent(row, receipt)

    def _marked(self, row: Row, submission: str) -> Submission | None:
        """Claim the row for this submission; or the submission of an earlier run, which CI has or may have."""
        name = f"{self._journal.run}.{row.key}"
        mark = Mark(row.key, submission, now_ms())
        while before := self._store.marks.take(_SPACE, name, mark, MARKS_KEPT_S):
            left = self._store.submissions.get(before.submission)
            if left is not None and not left.came_to_nothing:
                return left
            # Nothing was stored, and so nothing sent; or CI has refused it. It may be tried again.
            if self._store.marks.swap(_SPACE, name, before, mark, MARKS_KEPT_S):
                break
        return None


def _sent(row: Row, receipt: Receipt) -> Result:
    status: Status = "submitted" if receipt.job_ids else "lost"
    return Result(
        row, status, receipt.submission, receipt.job_ids, receipt.warnings, error=receipt.record.error
    )
