"""Without callbacks every job's end is found all the same, and CI is not asked more often than it allows."""

from __future__ import annotations

from typing import Any

import pytest

from app import reconcile
from app.ci.incoming.payload import parse
from app.core.clock import now_ms, rfc3339
from app.provider import ProviderError
from app.services import Services
from app.store import News
from harness.servers import Emulator
from tests.ci.samples import NO_JOBS
from tests.store.said import said, tell
from tests.workers.relay.asking import Relay, asked, change, end_at_ci, fault, job_of, submit


def _due_in_s(services: Services, job_id: str) -> float | None:
    score = services.store.db.client.zscore(services.store.db.key("due"), job_id)
    return None if score is None else (float(score) - now_ms()) / 1000


@pytest.mark.parametrize("state", ["Success", "Failed"])
def test_a_lost_callback_is_replaced_by_a_poll(
    ours: Services, ci: Emulator, relay: Relay, state: str
) -> None:
    """Past the deadline CI is asked, and its answer is accepted like a callback."""
    _, (job_id,) = submit(ours)
    due = _due_in_s(ours, job_id)
    assert due is not None and 3500 < due < 3700, "not before its deadline"
    relay.ask_if_due()
    assert asked(ci, "describe") == 0
    end_at_ci(ci, job_id, state)
    relay.ask()
    job = job_of(ours, job_id)
    assert (job.state, job.source, job.verification) == (state, "poll", "confirmed")
    assert _due_in_s(ours, job_id) is None
    entries, _ = ours.store.jobs.history(job_id)
    assert [entry["kind"] for entry in entries] == ["submit", "poll"]
    last = ours.store.outbox.after("0", 10)[-1].event
    assert (last.kind, last.state, last.runs_handlers) == ("poll", state, True)


@pytest.mark.parametrize("callback", ["no", "http://elsewhere.example.com/hook"])
def test_a_job_without_a_callback_of_ours_is_asked_about_at_once(
    ours: Services, ci: Emulator, relay: Relay, callback: str
) -> None:
    """Before its deadline, and with short pauses, because no callback will come."""
    _, (job_id,) = submit(ours, callback=callback)
    due = _due_in_s(ours, job_id)
    assert due is not None and due < 10
    for _ in range(12):
        relay.ask()
    due = _due_in_s(ours, job_id)
    assert due is not None and due < 100
    end_at_ci(ci, job_id)
    relay.ask()
    assert job_of(ours, job_id).state == "Success"


@pytest.mark.parametrize("kind", NO_JOBS)
def test_ci_is_not_asked_about_workflow_runs_and_reviews(
    ours: Services, ci: Emulator, relay: Relay, kind: str
) -> None:
    """A review has no state, and questions about it would never end: the reason is stored, and CI is not asked."""
    body, job_id = NO_JOBS[kind]
    ours.store.acceptor.accept(News(parse(body).details, "callback", "token", body=body, ask_after=60.0))
    relay.ask()
    assert _due_in_s(ours, job_id) is None
    assert asked(ci, "describe") == 0
    tell(ours.store, said(job_id, "Running", tag="ReviewText"), binds=True, submission="s1", source="poll")
    ours.store.due.note_place([job_id], ("songs-1250000000", "ap-chongqing"))
    assert reconcile.reason_not_askable(ours, job_of(ours, job_id)) is None, (
        "CI itself has named it as a job of ours"
    )


def test_a_cancelled_job_is_found_by_asking(ours: Services, ci: Emulator, relay: Relay) -> None:
    """CI sends no callback for it."""
    change(ci, queue_seconds=600)
    _, (job_id,) = submit(ours)
    ours.provider.cancel("demo-1250000000", "ap-chongqing", job_id)
    relay.ask()
    assert job_of(ours, job_id).state == "Cancel"


def test_running_moves_the_deadline(ours: Services, ci: Emulator, relay: Relay) -> None:
    """A job that CI reports as running is not overdue; CI is asked again with a growing back-off."""
    _, (job_id,) = submit(ours)
    past = rfc3339(now_ms() - 1000)
    ours.store.db.client.hset(ours.store.db.key("job", job_id), "deadline", past)
    overdue = job_of(ours, job_id).submission
    assert overdue is not None and overdue.overdue
    pauses = []
    for _ in range(6):
        relay.ask()
        pauses.append(_due_in_s(ours, job_id) or 0)
    waiting = job_of(ours, job_id).submission
    assert waiting is not None and not waiting.overdue
    assert pauses[-1] > 4 * pauses[0]
    assert max(pauses) <= 900 * 1.2


def test_many_jobs_are_asked_about_in_one_question(ours: Services, ci: Emulator, relay: Relay) -> None:
    """CI takes a list of ids."""
    ids = [submit(ours)[1][0] for _ in range(12)]
    for job_id in ids:
        end_at_ci(ci, job_id)
    relay.ask()
    assert asked(ci, "describe") == 1
    assert {job_of(ours, job_id).state for job_id in ids} == {"Success"}


def test_slow_down_is_obeyed_by_all_relays(ours: Services, ci: Emulator, relay: Relay) -> None:
    """After one throttled question no relay asks for a while; the job stays in the schedule and does not count as
    asked."""
    _, (job_id,) = submit(ours)
    for _ in range(6):  # the next pause is the longest: it lasts as long as this test
        ours.store.due.slow_down()
    ours.store.db.client.delete(ours.store.db.key("slow"))
    end_at_ci(ci, job_id)
    fault(ci, "error", on="describe", code="SlowDown", times=1)
    relay.ask()
    other = Relay(Services.open(ours.settings, timeout=5))
    other.ask()
    assert asked(ci, "describe") == 1, "the other relay pauses too"
    assert ours.store.due.asked(job_id) == 0
    assert 0 < ours.store.due.held_s() <= 60
    ours.store.db.client.delete(ours.store.db.key("slow"))
    relay.ask()
    assert job_of(ours, job_id).state == "Success"


def test_the_pause_after_slow_down_doubles_up_to_a_minute(ours: Services) -> None:
    """A time that CI names replaces it."""
    assert [ours.store.due.slow_down() for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    assert ours.store.due.slow_down(7.5) == 7.5


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "error", "code": "InternalError", "on": "describe"},
        {"kind": "error", "code": "AccessDenied", "on": "describe"},
        {"kind": "drop", "on": "describe"},
    ],
    ids=["5xx", "refused", "no answer"],
)
def test_a_failed_question_is_repeated(
    ours: Services, ci: Emulator, relay: Relay, trouble: dict[str, Any]
) -> None:
    """With a growing back-off, until CI answers it."""
    _, (job_id,) = submit(ours)
    end_at_ci(ci, job_id)
    fault(ci, trouble.pop("kind"), times=3, **trouble)
    pauses = []
    for _ in range(3):
        relay.ask()
        pauses.append(_due_in_s(ours, job_id) or 0)
    assert job_of(ours, job_id).state == "Submitted"
    assert pauses[2] > 2 * pauses[0]
    relay.ask()
    assert job_of(ours, job_id).state == "Success"


def test_one_job_that_ci_cannot_be_asked_about_delays_no_other(
    ours: Services, ci: Emulator, relay: Relay
) -> None:
    """Because of one bad id CI may refuse the whole question."""
    _, (job_id,) = submit(ours)
    end_at_ci(ci, job_id)
    tell(ours.store, said("j,odd", "Running"), source="submit", submission="s1", ask_after=1.0)
    relay.ask()
    assert job_of(ours, job_id).state == "Success"
    assert ours.store.due.asked("j,odd") == 1


def test_a_job_that_ci_does_not_know_is_asked_about_less_and_less(
    ours: Services, ci: Emulator, relay: Relay
) -> None:
    """It may be there later; the reported state stays."""
    tell(ours.store, said("jstrange", "Running"))
    pauses = []
    for _ in range(8):
        relay.ask()
        pauses.append(_due_in_s(ours, "jstrange") or 0)
    assert pauses[-1] > 50 * pauses[0]
    assert job_of(ours, "jstrange").state == "Running"


def test_questions_about_the_doubted_end_of_an_unknown_job_end(
    ours: Services, ci: Emulator, relay: Relay
) -> None:
    """A forged end leaves a few questions, not one every day."""
    tell(ours.store, said("jforged", "Success"))
    tell(ours.store, said("jforged", "Failed"))
    for _ in range(12):
        relay.ask()
    assert ours.store.due.size() == 0
    assert asked(ci, "describe") < 12


def test_ci_is_asked_at_once_about_a_callback_without_a_state(
    ours: Services, ci: Emulator, relay: Relay
) -> None:
    _, (job_id,) = submit(ours)
    end_at_ci(ci, job_id)
    tell(ours.store, said(job_id, None))
    relay.ask_if_due()
    assert job_of(ours, job_id).state == "Success"


def test_a_forgotten_job_leaves_nothing(ours: Services, relay: Relay) -> None:
    """A job that was removed leaves the schedule, and no key is made for it."""
    tell(ours.store, said("j1", "Running"))
    ours.store.db.client.delete(ours.store.db.key("job", "j1"))
    relay.ask()
    assert ours.store.due.size() == 0
    ours.store.due.count("j1", 60)
    assert not ours.store.db.client.exists(ours.store.db.key("job", "j1"))


def test_asking_now_answers_what_ci_says(ours: Services, ci: Emulator) -> None:
    """As `refresh` does: at once, and CI's error is raised."""
    _, (job_id,) = submit(ours)
    end_at_ci(ci, job_id, "Failed")
    assert reconcile.ask(ours, [job_of(ours, job_id)]) == {job_id: "accepted"}
    assert job_of(ours, job_id).state == "Failed"
    assert reconcile.ask(ours, [job_of(ours, job_id)]) == {job_id: "duplicate"}
    fault(ci, "error", on="describe", code="InternalError", times=1)
    with pytest.raises(ProviderError, match="InternalError"):
        reconcile.ask(ours, [job_of(ours, job_id)])
