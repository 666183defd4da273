"""``flask jobs replay`` and ``flask jobs export``: many jobs at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli.jobs.which import wanted, which_jobs
from app.cli.options import as_json, without_asking
from app.cli.output import NOT_FOUND, REFUSED, fail, guarded, me, show_json
from app.documents.jobs import JobsReplayed, ReplayView
from app.store import Job
from app.web.services import services

_PAGE = 200


@click.command("replay")
@click.argument("job_id", required=False)
@which_jobs
@click.option(
    "--rate", default=20.0, show_default=True, type=click.FloatRange(0.1, 1000), help="Jobs a second."
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@without_asking
@as_json
@with_appcontext
@guarded
def replay(
    job_id: str | None, rate: float, dry_run: bool, yes: bool, json_wanted: bool, **which: Any
) -> None:
    """Replay the latest news of one job, or of all that match, after showing the number.

    Each makes an event of its own, with replay_of: handlers and endpoints run again.
    """
    if job_id:
        made = services().store.replays.replay(job_id, me())
        if made is None:
            fail(f"No job {job_id} is known here.", NOT_FOUND)
        if json_wanted:
            show_json(ReplayView.of(made))
        else:
            click.echo(made.event_id)
        return
    if all(value is None for value in which.values()):
        fail("Name a job, or a range with --after, --before, --tag, --state, …", REFUSED)
    ids = [job.job_id for job in _matching(which)]
    click.echo(f"{len(ids)} jobs match; at {rate:g} a second that takes {len(ids) / rate:.0f} s.", err=True)
    if not (dry_run or yes):
        click.confirm("Replay them?", abort=True, err=True)
    done = 0 if dry_run else _replay_all(ids, rate)
    if json_wanted:
        show_json(JobsReplayed(matched=len(ids), replayed=done, dry_run=dry_run))
    elif not dry_run:
        click.echo(f"{done} replayed")


@click.command("export")
@which_jobs
@click.option(
    "--json", "_json_wanted", is_flag=True, help="Accepted for consistency: the output is always JSON."
)
@with_appcontext
@guarded
def export(_json_wanted: bool, **which: Any) -> None:
    """Every job that matches as one line of JSON, newest first, without raw payloads."""
    for job in _matching(which):
        show_json(job, indent=None)


def _replay_all(ids: list[str], rate: float) -> int:
    """Oldest first, the order in which it happened."""
    began, done = time.monotonic(), 0
    for number, job_id in enumerate(reversed(ids)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        done += services().store.replays.replay(job_id, me()) is not None
    return done


def _matching(which: dict[str, Any]) -> Iterator[Job]:
    cursor: str | None = None
    while True:
        page = services().store.jobs.page(wanted(which), _PAGE, cursor)
        yield from page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return
