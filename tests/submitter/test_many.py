"""Runs of the same rows at the same time: CI gets each row once, wherever a run is slow or dies."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from msgspec.structs import replace

from app.services import Services
from app.store.submissions.submissions import Submission, Submissions
from app.submitter.many import Many, RunControl
from app.submitter.pace import Pace
from app.submitter.rows import Row, RowResult
from harness.emulated import Emulated
from tests.submitter.conftest import REQUEST


class Slow(Submissions):
    """The real submissions, but for a pause of this run when it stores one (``at="create"``), or when it has looked
    for another run's (``at="get"``), after ``skip`` such calls."""

    def __init__(self, services: Services, at: str, skip: int = 0) -> None:
        super().__init__(services.store.db, services.store.durable)
        self.reached, self.go_on = Event(), Event()
        self._at, self._skip = at, skip

    def create(self, submission: Submission, most_a_day: int | None = None) -> None:
        self._pause("create")
        super().create(submission, most_a_day)

    def get(self, submission_id: str) -> Submission | None:
        found = super().get(submission_id)
        self._pause("get")
        return found

    def _pause(self, where: str) -> None:
        if where == self._at:
            self._skip -= 1
            if self._skip < 0:
                self.reached.set()
                assert self.go_on.wait(60)


def rows(count: int) -> list[Row]:
    data = REQUEST.model_dump(mode="json", exclude_unset=True)
    return [Row(n, f"row{n}.1", data | {"user_data": f"row-{n}"}) for n in range(count)]


def run(services: Services, count: int = 1, parallel: int = 1) -> list[RowResult]:
    return list(Many(services, "the same", Pace(), patience=10).run(rows(count), parallel, RunControl()))


def slow(services: Services, at: str, skip: int = 0) -> tuple[Slow, Services]:
    submissions = Slow(services, at, skip)
    return submissions, replace(services, store=replace(services.store, submissions=submissions))


def meanwhile(first: Services, paused: Slow, then: Callable[[], None]) -> list[RowResult]:
    """The results of the first run, which is paused while ``then`` runs."""
    with ThreadPoolExecutor(1) as threads:
        going = threads.submit(run, first)
        try:
            assert paused.reached.wait(60)
            then()
        finally:
            paused.go_on.set()
        return going.result(60)


def test_a_row_that_a_slow_run_has_claimed_is_taken_over(services: Services, ci: Emulated) -> None:
    """It may have died there; where it was only slow it finds that it has lost the row, and does not send it."""
    paused, first = slow(services, at="create")
    second: list[RowResult] = []
    (lost,) = meanwhile(first, paused, lambda: second.extend(run(services)))
    assert [result.status for result in second] == ["submitted"]
    assert (lost.status, "another run" in (lost.error or "")) == ("lost", True)
    assert len(ci.requests()) == 1
    assert len(services.store.submissions.unanswered()) == 0, "nothing is searched for at CI"
    assert [result.status for result in run(services)] == ["before"]


@pytest.mark.parametrize("skip", [0, 1], ids=["the first look", "the look before the take-over"])
def test_a_row_is_not_taken_over_from_a_run_that_has_stored_it_since(
    skip: int, services: Services, ci: Emulated
) -> None:
    """Between the read of the claim and the take-over the first run may have stored its submission: the row stays its
    own."""
    owner, first = slow(services, at="create")
    looker, second = slow(services, at="get", skip=skip)
    with ThreadPoolExecutor(2) as threads:
        try:
            owning = threads.submit(run, first)
            assert owner.reached.wait(60)
            looking = threads.submit(run, second)
            assert looker.reached.wait(60)
            owner.go_on.set()
            assert [result.status for result in owning.result(60)] == ["submitted"]
        finally:
            owner.go_on.set()
            looker.go_on.set()
        assert [result.status for result in looking.result(60)] == ["before"]
    assert len(ci.requests()) == 1


@pytest.mark.parametrize("count", [1, 25])
def test_a_crowd_of_runs_sends_each_row_once(count: int, services: Services, ci: Emulated) -> None:
    """Five runs of eight threads: exactly one run reports each row as submitted."""
    with ThreadPoolExecutor(5) as threads:
        going = [threads.submit(run, services, count, 8) for _ in range(5)]
        outcomes = [each.result(120) for each in going]
    assert all(len(each) == count for each in outcomes), "each run names each row"
    assert sorted(r.row.number for each in outcomes for r in each if r.status == "submitted") == [
        *range(count)
    ]
    assert {r.status for each in outcomes for r in each} <= {"submitted", "before", "lost"}
    assert len(ci.requests()) == count
    assert [result.status for result in run(services, count)] == ["before"] * count
