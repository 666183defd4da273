"""``flask failures``, ``flask jobs replay`` and ``flask jobs export``."""

from __future__ import annotations

import json

from flask import Flask

from app.services import Services
from tests.workers.news import a_failure, tell


def test_failures_are_listed(app: Flask, services: Services) -> None:
    """Each with its event, job, handler; ``--json`` is what the API returns."""
    event_id = a_failure(services)
    a_failure(services, tag="Transcode")
    runner = app.test_cli_runner()
    said = runner.invoke(args=["failures", "list", "--tag", "VoiceSeparate"])
    assert event_id in said.output and "mine.publish" in said.output
    heading, *lines = said.output.splitlines()
    assert heading.split() == ["EVENT", "HANDLER", "TRIES", "ENDED"]
    assert len(lines) == 2 and max(map(len, lines)) <= 80
    page = json.loads(runner.invoke(args=["failures", "list", "--json", "--limit", "1"]).output)
    assert len(page["failures"]) == 1 and page["next_cursor"]


def test_a_bulk_retry_shows_the_count_and_asks(app: Flask, services: Services) -> None:
    """After a no nothing is retried; a filter or --all is required."""
    for _ in range(3):
        a_failure(services)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["failures", "retry"]).exit_code == 2
    asked = runner.invoke(args=["failures", "retry", "--handler", "mine.publish"], input="n\n")
    assert "3 failures match" in asked.output and asked.exit_code != 0
    counted = runner.invoke(args=["failures", "retry", "--all", "--dry-run", "--json"])
    assert (json.loads(counted.stdout), counted.exit_code) == ({"count": 3}, 0)
    assert services.store.failures.count() == 3
    done = runner.invoke(args=["failures", "retry", "--all", "--yes"])
    assert "3 retried" in done.output
    assert services.store.failures.count() == 0
    event_id = a_failure(services)
    printed = runner.invoke(args=["failures", "retry", event_id, "--json"]).stdout
    assert json.loads(printed) == {"matched": 1, "retried": 1, "more": False}
    assert runner.invoke(args=["failures", "retry", "--all", "--yes"]).exit_code == 3


def test_a_failure_is_dismissed_with_a_reason(app: Flask, services: Services) -> None:
    """The run's record has the reason; without one the command is refused."""
    event_id = a_failure(services)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["failures", "dismiss", event_id]).exit_code == 2
    assert "1 dismissed" in runner.invoke(args=["failures", "dismiss", event_id, "--reason", "old"]).output
    event = services.store.runs.event(event_id)
    assert event
    (run,) = services.store.runs.of_job(event.job_id)
    assert (run.state, run.acts[0]["reason"]) == ("dismissed", "old")
    gone = runner.invoke(args=["failures", "dismiss", a_failure(services), "--reason", "old", "--json"])
    assert json.loads(gone.stdout) == {"dismissed": 1}


def test_one_job_is_replayed(app: Flask, services: Services) -> None:
    """The command prints the new event's id, and only that."""
    job_id, event_id = tell(services)
    said = app.test_cli_runner().invoke(args=["jobs", "replay", job_id])
    *_, newest = services.store.outbox.after("0-0", 10)
    assert said.output.strip() == newest.event.event_id
    assert (newest.event.kind, newest.event.replay_of) == ("replay", event_id)
    assert app.test_cli_runner().invoke(args=["jobs", "replay", "jnone"]).exit_code == 3


def test_a_range_is_counted_first_and_replayed_oldest_first(app: Flask, services: Services) -> None:
    """``--dry-run`` only counts; the rate is kept."""
    ids = [
        tell(services, job_id=f"j{n}", CreationTime=f"2024-03-0{n + 1}T10:00:00+0800")[0] for n in range(4)
    ]
    runner = app.test_cli_runner()
    within = ["--after", "2024-03-02T00:00:00Z", "--before", "2024-03-04T00:00:00+08:00"]
    assert "2 jobs match" in runner.invoke(args=["jobs", "replay", *within, "--dry-run"]).output
    assert runner.invoke(args=["jobs", "replay"]).exit_code == 2
    assert len(services.store.outbox.after("0-0", 100)) == 4
    assert "2 replayed" in runner.invoke(args=["jobs", "replay", *within, "--yes", "--rate", "50"]).output
    replayed = [each.event.job_id for each in services.store.outbox.after("0-0", 100)[4:]]
    assert replayed == ids[1:3]


def test_jobs_are_exported_as_lines_of_json(app: Flask, services: Services) -> None:
    """All that match, newest first."""
    tell(services, job_id="ja")
    tell(services, "Failed", job_id="jb")
    lines = app.test_cli_runner().invoke(args=["jobs", "export", "--state", "Failed"]).output.splitlines()
    assert [json.loads(line)["job_id"] for line in lines] == ["jb"]


def test_a_replay_needs_room_in_the_outbox(app: Flask, services: Services) -> None:
    """If the outbox is full, neither an event nor an entry is made."""
    job_id, _ = tell(services)
    entries = services.store.jobs.history(job_id)[1]
    key = services.store.db.key("events")
    pipe = services.store.db.client.pipeline()
    for _ in range(services.settings.outbox_max):
        pipe.xadd(key, {"x": 1})
    pipe.execute()
    ended = app.test_cli_runner().invoke(args=["jobs", "replay", job_id])
    assert ended.exit_code == 5
    assert services.store.jobs.history(job_id)[1] == entries
