"""Web, relay and worker show their metrics alike, and every series is there before its first event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from app.core.clock import now_ms
from app.metrics import stored
from app.store import Store
from harness.servers import Emulator, Process, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.metrics.reading import Values, names_of, page_of, samples_of, shows
from tests.metrics.watched import Watched
from tests.receiver.callbacks import a_token, body, post


@pytest.fixture
def fresh(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Watched]:
    """A service without any event, which a test may stop."""
    with Watched(valkey, emulator, tmp_path, spool_dir=tmp_path / "spool") as running:
        yield running


@pytest.fixture(scope="module")
def watched(
    valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with Watched(valkey, emulator, folder, spool_dir=folder / "spool") as running:
        yield running


def wait_for(watched: Watched, name: str, values: Values) -> str:
    """The first page of the web service on which the samples of that name are these."""
    return shows(watched.page, lambda page: samples_of(page, name) == values, f"{name} to be {values}")


def test_every_process_shows_what_redis_holds_and_itself(watched: Watched) -> None:
    """Relay and worker, like the web service."""
    here = {
        "ci_redis_up",
        "ci_processes",
        "ci_outbox_age_seconds",
        "ci_handler_runs_total",
        "ci_failures_open",
    }
    wanted = here | {"process_resident_memory_bytes", "process_start_time_seconds"}
    for role in ("relay", "worker"):
        page = partial(watched.page, role)
        shows(page, lambda page: wanted <= names_of(page), f"those of the {role}")
    shows(watched.page, lambda page: here <= names_of(page), "those of the web service")


def test_every_series_is_there_before_its_first_event(fresh: Watched) -> None:
    """Where the first event makes a series, ``increase()`` misses that event: an alert would too."""
    page = shows(
        fresh.page, lambda page: ("quick", "done") in samples_of(page, "ci_handler_runs_total"), "handlers"
    )
    first: dict[str, list[tuple[str, ...]]] = {
        "ci_callbacks_total": [("accepted", "VoiceSeparate"), ("spooled", "other"), ("duplicate", "Review")],
        "ci_refusals_total": [("store_unavailable",), ("bad_token",), ("too_many_callbacks",)],
        "ci_spool_drained_total": [("accepted",), ("duplicate",)],
        "ci_handler_runs_total": [("quick", "failed"), ("check_outputs", "died")],
        "ci_questions_total": [("answered",), ("unreadable",), ("failed",)],
        "ci_answers_unreadable_total": [()],
        "ci_jobs": [("Success",), ("Failed",), ("none",)],
        "ci_spool_age_seconds": [()],
        "ci_newest_callback_timestamp_seconds": [()],
        "ci_outbox_waiting": [()],
        "ci_failures_open": [()],
        "ci_jobs_overdue_total": [()],
        "ci_handler_seconds_count": [("quick",)],
    }
    for name, labels in first.items():
        found = samples_of(page, name)
        assert {each: found.get(each) for each in labels} == dict.fromkeys(labels, 0.0), name
    wait_for(fresh, "ci_processes", {("relay",): 1, ("worker",): 2})
    wait_for(fresh, "ci_web_processes", {(): 2})


def test_a_callback_changes_its_metrics(watched: Watched) -> None:
    """By outcome and tag, the time of the newest, the runs of its handlers and their durations, jobs by state."""
    token = a_token(watched.settings)
    content = body()
    assert post(watched.url, token, content).json()["results"][0]["outcome"] == "accepted"
    assert post(watched.url, token, content).json()["results"][0]["outcome"] == "duplicate"
    assert post(watched.url, token, body(JobId="jquick", Tag="Quick")).status_code == 200
    page = shows(
        watched.page, lambda page: samples_of(page, "ci_handler_runs_total")["quick", "done"] >= 1, "the run"
    )
    counted = samples_of(page, "ci_callbacks_total")
    assert counted["accepted", "VoiceSeparate"] == 1
    assert counted["duplicate", "VoiceSeparate"] == 1
    assert counted["accepted", "other"] == 1
    assert "Quick" not in page
    assert samples_of(page, "ci_jobs")[("Success",)] == 2
    done = samples_of(page, "ci_handler_runs_total")[("quick", "done")]
    assert samples_of(page, "ci_handler_seconds_bucket")["quick", "+Inf"] >= done
    assert samples_of(page, "ci_handler_seconds_count")[("quick",)] >= done


def test_the_time_of_the_newest_callback_outlives_the_web_service(fresh: Watched) -> None:
    """Else an alert about silence could not fire after a restart, until a callback came."""
    before = now_ms() / 1000
    assert post(fresh.url, a_token(fresh.settings), body()).status_code == 200

    def newest(page: str) -> float:
        return samples_of(page, "ci_newest_callback_timestamp_seconds")[()]

    known = newest(shows(fresh.page, lambda page: newest(page) >= before, "the web service to report it"))
    fresh.restart_web()
    assert newest(fresh.page()) == known


def test_without_a_relay_the_outbox_lags(fresh: Watched) -> None:
    """The number and the age of waiting events grow."""
    fresh.relay.kill()
    assert post(fresh.url, a_token(fresh.settings), body()).status_code == 200
    wait_for(fresh, "ci_outbox_waiting", {(): 1})
    shows(fresh.page, lambda page: samples_of(page, "ci_outbox_age_seconds")[()] > 1, "the event's age")
    shows(
        fresh.page, lambda page: samples_of(page, "ci_processes")[("relay",)] == 0, "the relay to be missed"
    )
    fresh.relay.start()
    page = wait_for(fresh, "ci_outbox_waiting", {(): 0})
    assert samples_of(page, "ci_outbox_age_seconds") == {(): 0}


def test_while_redis_is_away_its_own_metrics_are_missing(valkey: Valkey, tmp_path: Path) -> None:
    """``ci_redis_up`` is 0, and a process still counts its own events."""
    with Valkey(tmp_path) as own:
        settings = make_settings(own.url, spool_dir=tmp_path / "spool")
        with Web(settings, free_port(), tmp_path) as web:
            page_of_it = partial(page_of, web.url)
            shows(page_of_it, lambda page: samples_of(page, "ci_redis_up") == {(): 1}, "Redis to be seen")
            own.kill()
            assert post(web.url, a_token(settings), body()).json()["results"][0]["outcome"] == "spooled"
            page = shows(
                page_of_it, lambda page: samples_of(page, "ci_redis_up") == {(): 0}, "the outage to be seen"
            )
            assert samples_of(page, "ci_callbacks_total")["spooled", "VoiceSeparate"] == 1
            assert samples_of(page, "ci_spool_age_seconds")[()] > 0
            names = {family.name for family in stored.FAMILIES} - {"ci_redis_up"}
            assert not [name for name in names if re.search(rf"^{name}[ {{]", page, re.MULTILINE)]


def test_a_port_that_is_taken_stops_no_worker(watched: Watched, tmp_path: Path) -> None:
    """A worker runs without its metrics."""
    second = Process(watched.worker._command, tmp_path / "second.log", watched.worker._environment)
    with second:
        eventually(lambda: "METRICS_PORT: cannot listen" in second.text(), second.text)
        shows(watched.page, lambda page: samples_of(page, "ci_processes")[("worker",)] == 4, "both to work")
        assert second.stop() == 0


def test_the_limit_of_redis_memory_is_shown(watched: Watched, store: Store) -> None:
    page = watched.page()
    assert samples_of(page, "ci_redis_memory_bytes")[()] > 100_000
    assert samples_of(page, "ci_redis_memory_limit_bytes") == {(): float("inf")}


def test_the_metrics_of_a_worker_end_with_it(fresh: Watched) -> None:
    """Also when it is killed."""
    shows(partial(fresh.page, "worker"), bool, "its page")
    fresh.worker.kill()

    def is_gone() -> bool:
        try:
            requests.get(fresh.pages["worker"], timeout=2)
        except requests.RequestException as error:
            # Too slow an answer is none from a closed port.
            return isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout)
        return False

    eventually(is_gone, "its port to close")
