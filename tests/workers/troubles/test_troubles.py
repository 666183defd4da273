"""Events about trouble: which facts make one, who gets them, and how a burst is merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.clock import now_ms, rfc3339
from app.core.event_kinds import TROUBLES
from app.provider import ProviderError
from app.services import Services
from app.store import Event, Store
from app.store.events.event import RunTarget
from app.store.failures.failures import FailureFilter
from app.store.runs.run import End, Start, run_id
from harness.downstream import Downstream
from harness.servers import Emulator, eventually
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell
from tests.workers.conftest import Start as StartService
from tests.workers.news import tell as tell_service
from tests.workers.relay.asking import Relay, fault, submit
from workers.registry import Handler

H: RunTarget = ("mine.publish", None)


def troubles(store: Store) -> list[Event]:
    return [each.event for each in store.outbox.after("0-0", 1000) if each.event.kind in TROUBLES]


def news(store: Store) -> list[Event]:
    return [each.event for each in store.outbox.after("0-0", 1000) if each.event.kind not in TROUBLES]


def fail(store: Store, event: Event, target: RunTarget = H) -> str:
    """Fail the only try of the event's run; return the run's id."""
    store.runs.plan([(event, [target])])
    each = run_id(event.event_id, *target)
    number = store.runs.start(Start(each, 15, 1, "w"))
    store.runs.finish(End(each, number, "failed", {"n": number, "error": "ValueError: no index"}))
    return each


def test_a_run_out_of_tries_is_an_event(store: Store) -> None:
    """The new event names the failed handler and its event, and has the job as that event reported it."""
    tell(store, said("j1", "Success", user_data="order-42"))
    (event,) = news(store)
    fail(store, event)
    (made,) = troubles(store)
    assert (made.kind, made.job_id, made.state, made.tag) == ("run_failed", "j1", "Success", event.tag)
    assert made.details == {
        "event_id": event.event_id,
        "handler": "mine.publish",
        "endpoint": None,
        "tries": 1,
        "error": "ValueError: no index",
    }
    assert made.report == event.report and not made.runs_handlers
    assert not broken_invariants(store)


def test_a_run_whose_process_died_in_its_last_try_is_an_event(store: Store) -> None:
    """The end of the try was never recorded; the next start finds that it was the last, and makes one event."""
    tell(store, said("j1", "Success"))
    (event,) = news(store)
    store.runs.plan([(event, [H])])
    each = run_id(event.event_id, *H)
    assert store.runs.start(Start(each, 0, 1, "w")) == 1
    assert store.runs.start(Start(each, 15, 1, "w")) == -1
    (made,) = troubles(store)
    assert made.details and "died" in made.details["error"] and made.details["tries"] == 1
    assert store.runs.start(Start(each, 15, 1, "w")) == 0
    assert len(troubles(store)) == 1


def test_a_delivery_that_is_given_up_is_an_event(store: Store) -> None:
    """The event names the endpoint and the error."""
    tell(store, said("j1", "Success"))
    (event,) = news(store)
    store.runs.plan([(event, [("forward", "shop")])])
    assert store.deliveries.expire("shop", -1, "the endpoint was down") == 1
    (made,) = troubles(store)
    assert (
        made.details
        and made.details["endpoint"] == "shop"
        and made.details["error"] == "the endpoint was down"
    )


@pytest.mark.parametrize("kind", sorted(TROUBLES))
def test_a_failed_run_of_an_event_about_trouble_makes_no_event(store: Store, kind: str) -> None:
    """Otherwise a failing handler would be called for its own failures without end."""
    tell(store, said("j1", "Success"))
    (event,) = news(store)
    about = Event(
        "0" * 32, "j1", kind, "Success", event.tag, 1, event.at, 1, event.report, runs_handlers=False
    )
    fail(store, about)
    assert store.failures.count() == 1 and not troubles(store)


def test_a_failed_submission_is_an_event_without_a_job(ours: Services, ci: Emulator) -> None:
    """CI has refused: there is no JobId. The event is the submission's, and says what was asked and why it failed."""
    fault(ci, "error", on="submit", status=400, code="InvalidArgument", times=1)
    with pytest.raises(ProviderError):
        submit(ours, labels={"show": "news"})
    (made,) = troubles(ours.store)
    assert (made.kind, made.job_id, made.state, made.tag) == ("submission_failed", "", None, "VoiceSeparate")
    assert made.details and made.details["submission"] == made.submission
    assert made.details["ci"]["code"] == "InvalidArgument" and made.details["labels"] == {"show": "news"}
    assert made.report["input"]["object"] == "input/demo.mp3" and made.report["user_data"] == "order-42"


def test_runs_of_a_submission_are_removed_with_it(ours: Services, ci: Emulator) -> None:
    """Its event and runs are read as those of a job, and none of their keys is left when it expires."""
    store = ours.store
    fault(ci, "error", on="submit", status=400, code="InvalidArgument", times=1)
    with pytest.raises(ProviderError):
        submit(ours)
    (made,) = troubles(store)
    each = fail(store, made)
    assert store.runs.event(made.event_id) == made
    (run,) = store.failures.page(FailureFilter(), 10)[0]
    assert (run.id, run.job_id, run.tag) == (each, "", "VoiceSeparate")
    redis = store.db.client
    redis.hset(store.db.key("submission", made.submission or ""), "token_expires", 0)
    store.retention.drop_submissions(-60, 10)
    assert store.failures.count() == 0
    assert not [
        *redis.scan_iter(store.db.key("runs_of", "*")),
        *redis.scan_iter(store.db.key("report_of", "*")),
    ]


def test_overdue_is_announced_once_for_each_deadline(ours: Services, relay: Relay) -> None:
    """A job past its deadline makes one event, and another one after a new deadline."""
    store = ours.store
    submission, (job_id,) = submit(ours)
    relay.ask()
    assert not troubles(store)
    for deadline, expected in ((now_ms() - 1000, 1), (now_ms() - 500, 2)):
        store.db.client.hset(store.db.key("job", job_id), "deadline", rfc3339(deadline))
        before = store.jobs.get(job_id)
        assert before and before.submission and before.submission.overdue
        assert store.due.announce_overdue(before) and not store.due.announce_overdue(before)
        assert len(troubles(store)) == expected
    last = troubles(store)[-1]
    assert (last.kind, last.job_id) == ("overdue", job_id)
    assert last.details and last.details["submission"] == submission
    store.db.client.hset(store.db.key("job", job_id), "deadline", rfc3339(now_ms() - 100))
    relay.ask()
    assert [each.kind for each in troubles(store)] == ["overdue"] * 3
    assert not broken_invariants(store)


def test_a_doubt_says_what_contradicts(store: Store) -> None:
    """The event has the reason and the reported state."""
    tell(store, said("j1", "Success", ended_at="2026-01-02T10:00:00+0800"))
    tell(store, said("j1", "Failed", ended_at="2026-01-02T10:00:00+0800"))
    (made,) = troubles(store)
    assert made.kind == "doubt" and made.details
    assert made.details["reason"] == "states_differ" and made.details["reported"]["state"] == "Failed"


def test_a_burst_is_one_run_a_minute_for_each_handler_and_kind(store: Store) -> None:
    """The first run is due at once; all others within the minute are one run, due when it is over, with their count."""
    for n in range(30):
        tell(store, said(f"j{n}", "Success"))
    for n, event in enumerate(news(store)):
        fail(store, event, ("mine.publish" if n < 20 else "mine.notify", None))
    listeners: list[RunTarget] = [("watch", None), ("chat", "team")]
    store.runs.plan([(each, listeners) for each in troubles(store)])
    key = store.db.key
    counts: dict[tuple[str, str], list[int]] = {}
    for each in troubles(store):
        for run in store.runs.of_event(each.event_id):
            counts.setdefault((run.handler, (each.details or {})["handler"]), []).append(run.count)
            schedule = key("deliveries", "team") if run.endpoint else key("runs")
            in_s = (store.db.client.zscore(schedule, run.id) - now_ms()) / 1000  # type: ignore[operator]
            assert (in_s < 1) if run.count == 1 else (30 < in_s <= 60)
    assert counts == {
        (listener, failed): [1, number - 1]
        for listener in ("watch", "chat")
        for failed, number in (("mine.publish", 20), ("mine.notify", 10))
    }
    assert store.schedules.take_due(100, 1) and store.schedules.next_due_s()


def test_news_is_never_merged(store: Store) -> None:
    """Each piece of news has a run of its own."""
    for n in range(5):
        tell(store, said(f"j{n}", "Success"))
    assert store.runs.plan([(each, [H]) for each in news(store)]) == 5
    assert len(store.schedules.take_due(100, 1)) == 5


@pytest.mark.parametrize("kind", [*sorted(TROUBLES), "callback"])
def test_a_handler_for_trouble_gets_nothing_else(kind: str) -> None:
    """A handler with on= gets only that kind, and one without on= only news."""
    event = Event("e", "j1", kind, "Success", "T", 1, "", 1, {}, runs_handlers=kind == "callback")
    plain = Handler("each", print, frozenset(), frozenset(), 1, 1, 1, 1)
    assert plain.wants(event) == (kind == "callback")
    for word in TROUBLES:
        asking = Handler("each", print, frozenset(), frozenset(), 1, 1, 1, 1, on=frozenset({word}))
        assert asking.wants(event) == (kind == word)


MODULE = """
from pathlib import Path
from workers.handlers import Event, Job, handler

HERE = Path(__file__).parent

@handler(tries=1)
def breaks(event: Event, job: Job) -> None:
    raise RuntimeError("the index is away")

@handler(on=("run_failed", "submission_failed"), tries=1)
def watch(event: Event, job: Job | None) -> None:
    with (HERE / "log").open("a") as log:
        log.write(f"{event.kind} {event.count} {job and job.job_id} {(event.details or {}).get('error')}\\n")
    raise RuntimeError("the watcher fails too")
"""


def test_handlers_and_endpoints_get_events_about_trouble(
    start_background: StartService, tmp_path: Path, downstream: Downstream
) -> None:
    """By real processes: a handler with on=run_failed is called once, and its own failure makes no event; an endpoint
    with #on=run_failed gets a delivery, and one without gets only news."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine_handlers.py").write_text(MODULE)
    service = start_background(
        {"PYTHONPATH": str(tmp_path / "mine")},
        handlers="mine_handlers",
        forward_urls=f"{downstream.url}/trouble#on=run_failed,{downstream.url}/news",
    )
    job_id, _ = tell_service(service.services)
    (got,) = eventually(lambda: downstream.on("/trouble"), "the delivery of what went wrong")
    assert got.event["type"] == "ci.run.failed" and got.event["data"]["count"] == 1
    assert got.event["data"]["details"]["handler"] == "mine_handlers.breaks"
    assert got.event["data"]["job"]["job_id"] == job_id
    log = eventually(lambda: _lines(tmp_path / "mine" / "log"), "the handler of failures to run")
    assert log == [f"run_failed 1 {job_id} RuntimeError: the index is away"]
    failures = eventually(lambda: _two(service.call("GET", "/v1/failures").json()), "both failures")
    assert {each["handler"] for each in failures} == {"mine_handlers.breaks", "mine_handlers.watch"}
    assert [each.kind for each in troubles(service.services.store)] == ["run_failed"]
    news = eventually(lambda: downstream.on("/news"), "the delivery of news")
    assert {each.event["data"]["kind"] for each in news} == {"callback"}


def _two(page: dict[str, Any]) -> list[dict[str, Any]]:
    failures: list[dict[str, Any]] = page["failures"]
    return failures if len(failures) == 2 else []


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_the_stream_shows_what_went_wrong(store: Store) -> None:
    """An entry of the Redis stream has the details as JSON, and a report."""
    tell(store, said("j1", "Success"))
    fail(store, news(store)[0])
    rows: Any = store.db.client.xrange(store.db.key("events"))
    fields = {name.decode(): value.decode() for name, value in rows[-1][1].items()}
    assert fields["kind"] == "run_failed" and fields["handlers"] == "0"
    assert json.loads(fields["details"])["handler"] == "mine.publish"
    assert json.loads(fields["report"])["job_id"] == "j1"
