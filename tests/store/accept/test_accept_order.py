"""The order in which news arrives does not matter, and at no instant is a job without its event."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.ci.report import STATES as STATES_OF_CI
from app.ci.report import TERMINAL, rank
from app.store import Store
from harness.servers import ROOT, Valkey, eventually
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell

STATES = (None, "Archived", "Submitted", "Running", "Pause", "Success", "Failed", "Cancel")
TIMES = (None, "2022-06-27T07:30:00Z", "2022-06-27T07:40:00Z", "2022-06-27T07:50:00Z")


@dataclass(frozen=True)
class Step:
    """One callback, or the answer to one poll that was asked at ``asked``."""

    poll: bool
    state: str | None
    ended_at: str | None
    asked: int
    message: str | None

    def play(self, store: Store) -> str:
        detail = said("j1", self.state, self.ended_at, message=self.message)
        source = "poll" if self.poll else "callback"
        return tell(store, detail, source=source, asked_ms=self.asked)[0]  # type: ignore[arg-type]


def _step(poll: bool, state: str | None, ended_at: str | None, asked: int, message: str | None) -> Step:
    return Step(poll, state, ended_at if state in TERMINAL else None, asked, message)


steps = st.builds(
    _step,
    st.booleans(),
    st.sampled_from(STATES),
    st.sampled_from(TIMES),
    st.integers(1, 10**6),
    st.sampled_from((None, "a", "b")),
)


def final_states(played: list[Step]) -> set[str | None]:
    """The states in which the rules let the job end, whatever the order: several only where no rule decides."""
    reported = [step for step in played if step.state and (step.poll or step.state in STATES_OF_CI)]
    ended = [step for step in reported if step.state in TERMINAL]
    known = ended or reported
    if not known:
        return {None}
    polls = [step for step in known if step.poll]
    if polls:
        return {max(polls, key=lambda step: step.asked).state}
    if ended:
        return {step.state for step in ended}
    furthest = max(rank(step.state) for step in reported)
    return {step.state for step in reported if rank(step.state) == furthest}


def _end(valkey: Valkey, played: list[Step], *, always: bool = True) -> str | None:
    """Play the steps into an empty store and return the final state; check the invariants at the end, or after each
    step."""
    store = Store.open(valkey.url, f"order-{secrets.token_hex(6)}:", timeout=5)
    for step in played:
        step.play(store)
        assert not always or not broken_invariants(store), step
    assert not broken_invariants(store)
    job = store.jobs.get("j1")
    assert job is not None
    allowed = final_states(played)
    assert job.state in allowed
    if len(allowed) > 1:
        assert store.due.size() == 1, "what nothing decides is asked about"
    store.db.client.delete(*store.db.client.keys(f"{store.db.prefix}*"))
    return job.state


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(steps, min_size=1, max_size=7, unique_by=lambda step: step.asked),
    st.randoms(use_true_random=False),
)
def test_every_order_ends_in_the_same_state(
    valkey: Valkey, played: list[Step], chance: random.Random
) -> None:
    """The same callbacks and polls, shuffled and some of them twice, always end where the rules say."""
    for _ in range(4):
        order = [*played, *chance.sample(played, chance.randint(0, len(played)))]
        chance.shuffle(order)
        _end(valkey, order)


def test_every_permutation_of_a_usual_day(valkey: Valkey) -> None:
    """All 720 orders of a usual job: three callbacks, two polls, and a callback without a state."""
    day = [
        Step(False, "Submitted", None, 1, None),
        Step(False, "Running", None, 2, None),
        Step(True, "Running", None, 3, "half way"),
        Step(False, "Success", TIMES[1], 4, None),
        Step(True, "Success", TIMES[1], 5, "with more detail"),
        Step(False, None, None, 6, None),
    ]
    assert {_end(valkey, list(order), always=False) for order in itertools.permutations(day)} == {"Success"}


def test_an_answer_before_the_end_does_not_outdate_the_answers_about_the_end(valkey: Valkey) -> None:
    """A later answer that the job has not ended decides nothing; of two answers about its end, the later one does."""
    answers = [
        Step(True, "Archived", None, 6, None),
        Step(False, "Success", None, 5, "a"),
        Step(True, "Success", None, 3, "a"),
        Step(True, "Failed", None, 4, None),
    ]
    assert {_end(valkey, list(order), always=False) for order in itertools.permutations(answers)} == {
        "Failed"
    }


BURST = """
    import sys, threading
    from app.store import Limits, Store
    from tests.store.said import said, tell
    store = Store.open(sys.argv[1], sys.argv[2], timeout=5, limits=Limits(history=10**6))
    def burst(who):
        for n in range(100_000):
            state = ("Submitted", "Running", "Success")[n % 3]
            tell(store, said(f"j{who}-{n // 5}", state), said(f"j{n % 7}", "Running", message=f"{who} {n}"))
    for who in range(4):
        threading.Thread(target=burst, args=(f"{sys.argv[3]}-{who}",)).start()
"""


def test_a_client_that_is_killed_leaves_nothing_half_done(valkey: Valkey) -> None:
    """A process killed while it stores: each body is stored whole, with its events, or not at all."""
    prefix = f"burst-{secrets.token_hex(6)}:"
    store = Store.open(valkey.url, prefix, timeout=5)
    for turn in range(5):
        before = store.outbox.size()
        command = [sys.executable, "-c", textwrap.dedent(BURST), valkey.url, prefix, str(turn)]
        client = subprocess.Popen(command, cwd=ROOT)
        try:
            eventually(lambda: store.outbox.size() > before + 50, "the burst to begin")  # noqa: B023
            time.sleep(random.uniform(0, 0.05))
        finally:
            os.kill(client.pid, signal.SIGKILL)
            client.wait()
    assert not broken_invariants(store)
