"""``flask jobs refresh`` and ``cancel``: CI is asked about one job now."""

from __future__ import annotations

from typing import Any

from app.ci.incoming.payload import parse
from app.services import Services
from app.store import News
from app.submitter import Submitter
from harness.emulated import Emulated
from harness.servers import eventually
from tests.callbacks import body, new_job_id
from tests.ci.samples import NO_JOBS
from tests.cli.submit.conftest import Flask
from tests.submitter.conftest import REQUEST


def test_a_job_whose_callback_was_lost_is_refreshed(flask: Flask, services: Services, ci: Emulated) -> None:
    """CI's answer is stored."""
    ci.fault("lose")
    job_id = Submitter(services).submit(REQUEST).job_ids[0]
    eventually(
        lambda: flask("jobs", "refresh", job_id, "--json").json["state"] == "Success", "the end of the job"
    )
    seen = flask("jobs", "refresh", job_id, "--json")
    assert (seen.code, seen.json["source"], seen.json["verification"]) == (0, "poll", "confirmed")


def test_a_job_is_cancelled(flask: Flask, services: Services, ci: Emulated) -> None:
    """CI sends no callback for a cancelled job, so it is asked."""
    ci.fault("stuck")

    def cancelled() -> Any:
        # CI cancels only what has not started, and a busy machine may be too late: then the next one.
        job_id = Submitter(services).submit(REQUEST).job_ids[0]
        ran = flask("jobs", "cancel", job_id, "--json")
        return ran if ran.code == 0 else None

    assert eventually(cancelled, "a job that is cancelled before it starts").json["state"] == "Cancel"


def test_a_job_that_ci_does_not_know(flask: Flask, services: Services) -> None:
    """The command prints the stored job and exits with 3, as for a job that is not stored."""
    job_id = new_job_id()
    take(services, job_id)
    services.store.due.note_place([job_id], ("demo-1250000000", "ap-chongqing"))
    ran = flask("jobs", "refresh", job_id)
    assert (ran.code, job_id in ran.out) == (3, True)
    assert "CI does not know this job" in ran.err
    assert flask("jobs", "refresh", "jnone").code == 3
    ran = flask("jobs", "cancel", job_id)
    assert (ran.code, job_id in ran.out) == (3, True)
    assert "CI does not know this job" in ran.err
    ran = flask("jobs", "refresh", "--all")
    assert ran.code == 1 and f"{job_id}: CI does not know this job." in ran.err
    history = services.store.jobs.history(job_id)[0]
    assert [(each["kind"], each["outcome"]) for each in history[1:]] == [("poll", "unknown")] * 3


def take(services: Services, job_id: str) -> None:
    details = parse(body(job_id)).details
    services.store.acceptor.accept(News(details=details, source="callback", verification="token"))


def test_a_refusal_by_ci_is_reported(flask: Flask, services: Services, ci: Emulated) -> None:
    """Exit code 6, CI's code, and what to do."""
    job_id = Submitter(services).submit(REQUEST).job_ids[0]
    ci.fault("error", on="cancel", code="AccessDenied", status=403)
    ran = flask("jobs", "cancel", job_id)
    assert ran.code == 6
    assert "AccessDenied" in ran.err


def test_a_job_that_ci_cannot_be_asked_about_is_reported(
    flask: Flask, services: Services, ci: Emulated
) -> None:
    """Exit code 2, why, and what to do instead; CI is not asked."""
    content, run_id = NO_JOBS["a workflow run"]
    services.store.acceptor.accept(News(parse(content).details, "callback", "token", body=content))
    for command in ("refresh", "cancel"):
        ran = flask("jobs", command, run_id)
        assert (ran.code, ran.out) == (2, "")
        assert "a workflow run" in ran.err
    assert ci.requests("describe") + ci.requests("cancel") == []
