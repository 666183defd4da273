"""When CI is asked again: with a back-off, and with jitter."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.reconcile.describe import LONGEST_POLLED_S, LONGEST_S, longest_pause, pause
from app.services import Services
from app.store import Job
from app.store.questions.due import FIRST_QUESTION_S
from harness.servers import Emulator
from tests.store.said import said, tell
from tests.workers.relay.asking import job_of, submit

JITTER = 0.2


@pytest.mark.parametrize("longest", [LONGEST_S, LONGEST_POLLED_S])
def test_pauses_double_up_to_the_longest(longest: float) -> None:
    """Within the jitter each is twice the one before, until the bound; no number of questions is too many."""
    for asked in (*range(25), 10**9):
        expected = min(FIRST_QUESTION_S * 2 ** min(asked, 20), longest)
        drawn = [pause(asked, longest) for _ in range(200)]
        assert all(abs(each - expected) <= JITTER * expected + 1e-9 for each in drawn)
        assert max(drawn) - min(drawn) > 0.1 * expected, "jobs that were asked about together come apart"
    assert all(pause(n + 2, 1e9) > pause(n, 1e9) for n, _ in pairwise(range(15)))


@pytest.mark.parametrize(
    ("callback", "longest"),
    [(None, LONGEST_S), ("no", LONGEST_POLLED_S), ("http://elsewhere.example.com/hook", LONGEST_POLLED_S)],
)
def test_a_job_without_a_callback_of_ours_is_asked_about_more_often(
    ours: Services, ci: Emulator, callback: str | None, longest: float
) -> None:
    """With a callback, questions are needed only if it is lost."""
    _, (job_id,) = submit(ours, **({"callback": callback} if callback else {}))
    assert longest_pause(job_of(ours, job_id)) == longest


def test_a_job_that_was_not_submitted_here_can_be_waited_for(ours: Services) -> None:
    """It was reported by a callback, so its end will be reported by one."""
    tell(ours.store, said("j1", "Running"))
    job: Job = job_of(ours, "j1")
    assert longest_pause(job) == LONGEST_S
