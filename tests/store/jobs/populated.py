"""A store with jobs, submissions, runs and refusals in it, and the keys that it holds."""

from __future__ import annotations

import pytest

from app.core.event_kinds import TROUBLES
from app.redis.scripts import decoded_all
from app.store import NotBelieved, Store
from app.store.refusals.refusal import Refusal
from app.store.runs.run import End, Start, run_id
from app.store.submissions.submissions import Submission, deadline_after, new_submission_id
from tests.store.said import said, tell

ANY_AGE = -1.0
"""An age that everything has."""

FIXED = {
    "tries",
    "events",
    "keys",
    "revoked",
    "presence:relay",
    "presence:worker",
    "probe",
    "endpoints",
    "schema",
}
"""Keys whose number and size do not grow with the jobs."""


def kept_keys(store: Store) -> set[str]:
    """All keys but those that expire by themselves."""
    redis, prefix = store.db.client, store.db.prefix
    return {
        key.removeprefix(prefix) for key in decoded_all(redis.scan_iter(f"{prefix}*")) if redis.ttl(key) == -1
    }


def new_submission(
    store: Store, token_expires: int | None = None, submitted_at: str = "2022-06-27T07:23:10Z"
) -> str:
    submission = Submission(
        new_submission_id(), "sending", submitted_at, deadline_after(60), "own", "b", "r", key_id="k1",
        token_expires=token_expires,
    )  # fmt: skip
    store.submissions.create(submission)
    return submission.id


def plan_all(store: Store, state: str | None = "done") -> None:
    """Make two runs of each event, one of a handler and one of an endpoint, and end them in ``state``, or leave them
    waiting."""
    events = [posted.event for posted in store.outbox.after("0", 10_000)]
    for event in [each for each in events if each.kind not in TROUBLES]:
        store.runs.plan([(event, [("h", None), ("forward", "https://there.example.com/hook")])])
        for each in (
            run_id(event.event_id, "h"),
            run_id(event.event_id, "forward", "https://there.example.com/hook"),
        ):
            if state and store.runs.start(Start(each, 15, 1, "w")) > 0:
                store.runs.finish(End(each, 1, state, {"n": 1}))  # type: ignore[arg-type]


def populate(store: Store) -> None:
    for n in range(30):
        submission = new_submission(store)
        tell(store, said(f"j{n}", "Submitted", user_data=f"u{n % 3}"), source="submit", submission=submission)
        tell(
            store,
            said(f"j{n}", "Success", "2022-06-27T07:30:00Z", user_data=f"u{n % 3}"),
            submission=submission,
        )
        tell(
            store,
            said(f"j{n}", "Success", "2022-06-27T07:30:00Z", user_data=f"u{n % 3}"),
            submission=submission,
        )
    lost, failed = new_submission(store), new_submission(store)
    tell(store, said("jclaimed", "Success"), submission=lost)
    store.submissions.settle(lost, "lost", "its answer was lost")
    store.submissions.settle(failed, "failed", "CI said no")
    new_submission(store)
    tell(store, said("jalone", "Running"), said("jalone2", None))
    tell(store, said("jheld", "Success"), hold=True)
    tell(store, said("jpolled", "Failed"), source="poll")
    store.refusals.note(Refusal("binding_mismatch", "no", "t", {}, ("j3",), body=b"x"))
    with pytest.raises(NotBelieved):
        tell(store, said("jother", "Success"), submission=store.submissions.page(float("inf"), 99)[-1][0])
    store.due.slow_down(0.01)


def remove_all(store: Store, count: int = 7) -> None:
    retention = store.retention
    for step in (retention.drop_jobs, retention.drop_submissions):
        while step(ANY_AGE, count) == count:
            pass
    store.refusals.drop_old(ANY_AGE, count)
