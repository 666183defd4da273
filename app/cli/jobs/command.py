"""``flask jobs``: look up, wait for, settle and delete jobs."""

from __future__ import annotations

import sys
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from app.cli import LateCommand
from app.cli.jobs.which import wanted, which_jobs
from app.cli.options import as_json, paged, without_asking
from app.cli.output import (
    NOT_FOUND,
    NOT_YET,
    REFUSED,
    fail,
    guarded,
    me,
    quantity,
    say,
    show_job,
    show_json,
    show_table,
)
from app.core.logs import plain
from app.store import Job
from app.store.jobs.doubts import Choice
from app.web.acts import acting
from app.web.services import services

group = AppGroup("jobs", help="Look jobs up, wait for them, ask CI about them.")
_MANY = "app.cli.jobs.many"
for _name, _where, _line in (
    ("history", "app.cli.jobs.history:command", "The history of a job, and every try of its handlers."),
    ("import", "app.cli.jobs.jobs_import:command", "Read CI's list; store unknown jobs and news."),
    ("refresh", f"{_MANY}:refresh", "Ask CI about one job now, or about all that match."),
    ("cancel", f"{_MANY}:cancel", "Cancel one job at CI, or all that match and have not ended."),
    ("replay", f"{_MANY}:replay", "Replay the latest news of jobs."),
    ("export", f"{_MANY}:export", "Jobs as lines of JSON."),
):
    group.add_command(LateCommand(_name, _line, _where))


def _found(job_id: str) -> Job:
    return services().store.jobs.get(job_id) or fail(f"No job {job_id} is known here.", NOT_FOUND)


@group.command("list")
@which_jobs
@paged
@as_json
@with_appcontext
@guarded
def list_jobs(limit: int, cursor: str | None, json_wanted: bool, **which: Any) -> None:
    """List jobs that match every filter, the newest first."""
    page = services().store.jobs.page(wanted(which), limit, cursor)
    if json_wanted:
        show_json(page)
        return
    show_table(page.jobs)
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}", err=True)


@group.command("show")
@click.argument("job_id")
@as_json
@with_appcontext
@guarded
def show(job_id: str, json_wanted: bool) -> None:
    """One job."""
    show_job(_found(job_id), json_wanted)


@group.command("raw")
@click.argument("job_id")
@click.option(
    "--entry", type=click.IntRange(1), help="This entry of the job's history. Default: the newest callback."
)
@with_appcontext
@guarded
def raw(job_id: str, entry: int | None) -> None:
    """The exact bytes of a callback, to test a handler with. Exit code 3: not found, or expired."""
    _found(job_id)
    store = services().store.jobs
    entries = [entry] if entry else _callbacks(store.history(job_id)[0])
    found = next((body for each in entries if (body := store.raw_bytes(job_id, each)) is not None), None)
    if found is None:
        what = f"entry {entry}" if entry else "a callback"
        fail(
            f"The bytes of {what} of {plain(job_id)} are not stored; they expire after RETENTION_RAW.",
            NOT_FOUND,
        )
    if sys.stdout.isatty():
        for line in found.decode("utf-8", "replace").split("\n"):
            say(line)
    else:
        click.echo(found, nl=False)


def _callbacks(entries: list[dict[str, Any]]) -> list[int]:
    """The callbacks that were news, newest first."""
    return [
        each["entry"]
        for each in reversed(entries)
        if (each["kind"], each["outcome"]) == ("callback", "accepted")
    ]


@group.command("wait")
@click.argument("job_id")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait at most.")
@as_json
@with_appcontext
@guarded
def wait(job_id: str, timeout: float, json_wanted: bool) -> None:
    """Wait until the job has ended. Exit code 0: Success; 1: Failed or Cancel; 4: the time is up."""
    _found(job_id)
    services().tail.wait(job_id, timeout, lambda: _found(job_id).terminal)
    job = _found(job_id)
    show_job(job, json_wanted)
    if not job.terminal:
        fail(f"Still {job.state or 'unknown'} after {timeout:g} s.", NOT_YET)
    if job.state != "Success":
        raise SystemExit(1)


@group.command("settle")
@click.argument("job_id")
@click.option(
    "--as",
    "choice",
    required=True,
    type=click.Choice(["known", "reported"]),
    help="Keep the stored state, or take the reported one.",
)
@as_json
@with_appcontext
@guarded
def settle(job_id: str, choice: Choice, json_wanted: bool) -> None:
    """Settle a doubt that CI has not settled. Exit code 2: the job has no doubt; 3: no such job."""
    _found(job_id)
    with acting("jobs.settle", job_id, choice=choice) as done:
        settled = services().store.doubts.settle(job_id, choice, me())
        done.did(done=int(settled))
    if not settled:
        fail("This job has no doubt to settle.", REFUSED)
    show_job(_found(job_id), json_wanted)


@group.command("delete")
@click.argument("job_id")
@without_asking
@as_json
@with_appcontext
@guarded
def delete(job_id: str, yes: bool, json_wanted: bool) -> None:
    """Delete the job with its history, payloads, runs and failures, and print what was deleted.

    CI keeps it, and files at COS stay. A later callback for the job creates it again. Exit code 3:
    no such job; 1: the answer was no.
    """
    job = _found(job_id)
    if not yes:
        ends = "" if job.terminal else " It has not ended: CI's next callback creates it again."
        click.confirm(f"{plain(job_id)}: {job.state or 'unknown'}.{ends} Delete it?", abort=True, err=True)
    with acting("jobs.delete", job_id) as done:
        dropped = services().store.retention.drop_job(job_id)
        done.did(done=int(dropped is not None))
    if dropped is None:
        fail(f"No job {job_id} is known here.", NOT_FOUND)
    if json_wanted:
        from app.documents.jobs import DeletedJob  # noqa: PLC0415 - look-ups start without it

        show_json(DeletedJob.of(dropped))
        return
    entries, payloads = quantity(dropped.entries, "entry", "entries"), quantity(dropped.payloads, "payload")
    runs = f"{quantity(dropped.runs, 'run')} ({dropped.failures} of them failures)"
    tail = f"; submission {dropped.submission} with it" if dropped.submission else ""
    say(f"{job_id} deleted: {entries}, {payloads}, {runs}{tail}")
