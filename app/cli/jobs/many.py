"""``flask jobs refresh``, ``cancel``, ``replay`` and ``export``: one job, or many at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click
from flask.cli import with_appcontext

from app import reconcile
from app.cli.jobs.which import is_filtered, wanted, which_jobs
from app.cli.options import as_json, everything, together, without_asking
from app.cli.output import NOT_FOUND, REFUSED, bar, fail, guarded, me, quantity, say, show_job, show_json
from app.documents.jobs import ManyDone, NotDone, ReplayView
from app.documents.runs import Counted
from app.reconcile.many import Fates, cancel_many, refresh_many
from app.store import Job
from app.store.audit.audit_list import Value
from app.store.events.event import Only
from app.store.jobs import index
from app.web.acts import Act, acting
from app.web.services import WebServices, services

_SHOWN = 10
_ACTIONS = {"refreshed": "refresh", "cancelled": "cancel", "replayed": "replay"}

many_jobs = together(
    click.argument("job_id", required=False),
    which_jobs,
    everything("jobs"),
    click.option("--dry-run", is_flag=True, help="Only count."),
    without_asking,
    as_json,
    with_appcontext,
    guarded,
)
"""One job by its id, or those that match the filters, after their number was shown."""


@click.command("refresh")
@many_jobs
def refresh(job_id: str | None, json_wanted: bool, **which: Any) -> None:
    """Ask CI about one job now, or about all that match.

    Exit code 3: CI does not know it; 2: it is a review or a workflow run, not a job; 1: of many, CI could not be asked
    about some.
    """
    if job_id:
        _one("jobs.refresh", job_id, reconcile.refresh, json_wanted)
        return
    _many(which, json_wanted, None, lambda jobs: refresh_many(services(), jobs, me()), "refreshed")


@click.command("cancel")
@many_jobs
def cancel(job_id: str | None, json_wanted: bool, **which: Any) -> None:
    """Cancel one job at CI, or all that match and have not ended.

    Exit code 3: CI does not know it; 1: of many, some could not be cancelled.
    """
    if job_id:
        _one("jobs.cancel", job_id, reconcile.cancel, json_wanted)
        return
    ask = "Cancel them?"
    _many(
        which, json_wanted, ask, lambda jobs: cancel_many(services(), jobs, me()), "cancelled", _has_not_ended
    )


@click.command("replay")
@click.option(
    "--rate", default=20.0, show_default=True, type=click.FloatRange(0.1, 1000), help="Jobs a second."
)
@click.option("--handler", help="Only for this handler; `forward` for all endpoints.")
@click.option("--endpoint", help="Only for this endpoint of FORWARD_URLS, by its name.")
@many_jobs
def replay(
    job_id: str | None,
    rate: float,
    handler: str | None,
    endpoint: str | None,
    json_wanted: bool,
    **which: Any,
) -> None:
    """Replay the latest news of one job, or of all that match, after showing the number.

    Each makes an event of its own, with replay_of: handlers and endpoints run again, or only the one that is named.
    """
    only = _only(handler, endpoint)
    if job_id:
        with acting("jobs.replay", job_id, handler=handler, endpoint=endpoint) as done:
            made = services().store.replays.replay(job_id, me(), only)
            done.did(done=int(made is not None))
        if made is None:
            fail(f"No job {job_id} is known here.", NOT_FOUND)
        if json_wanted:
            show_json(ReplayView.of(made))
        else:
            click.echo(made.event_id)
        return
    _many(which, json_wanted, "Replay them?", lambda jobs: _replayed(jobs, rate, only), "replayed")


@click.command("export")
@which_jobs
@click.option(
    "--json", "_json_wanted", is_flag=True, help="Accepted for consistency: the output is always JSON."
)
@with_appcontext
@guarded
def export(_json_wanted: bool, **which: Any) -> None:
    """Every job that matches as one line of JSON, newest first, without raw payloads."""
    for job in services().store.jobs.every(wanted(which)):
        show_json(job, indent=None)


def existing(job_id: str) -> Job:
    return services().store.jobs.get(job_id) or fail(f"No job {job_id} is known here.", NOT_FOUND)


def _one(action: str, job_id: str, ask: Callable[[WebServices, Job, str], None], json_wanted: bool) -> None:
    """Ask CI about one job, show it as it is stored now, and fail where CI does not know it."""
    job, why = _askable(job_id), None
    with acting(action, job_id) as done:
        try:
            ask(services(), job, me())
        except reconcile.UnknownToCi as error:
            why = str(error)
        done.did(done=int(why is None))
    show_job(existing(job_id), json_wanted)
    if why:
        fail(why, NOT_FOUND)


def _askable(job_id: str) -> Job:
    job = existing(job_id)
    if why := reconcile.reason_not_askable(services(), job):
        fail(why, REFUSED)
    return job


def _given(which: dict[str, Any]) -> dict[str, Value]:
    """The filters that were given, by the names that they have in the API."""
    times = {f"created_{name}": each.isoformat() for name in ("after", "before") if (each := which[name])}
    equal = {name: value for name, value in which.items() if name not in {"labels", "after", "before"}}
    return {n: v for n, v in equal.items() if v is not None} | times | index.label_values(which["labels"])


def _has_not_ended(job: Job) -> bool:
    return not job.terminal


def _only(handler: str | None, endpoint: str | None) -> Only | None:
    endpoints = [each.name for each in services().settings.forward_urls]
    if why := services().store.replays.why_none(handler, endpoint, endpoints):
        fail(why, REFUSED)
    return Only(handler, endpoint) if handler or endpoint else None


def _many(
    which: dict[str, Any],
    json_wanted: bool,
    question: str | None,
    do: Callable[[list[Job]], Fates],
    word: str,
    means: Callable[[Job], bool] = bool,
) -> None:
    everyone, dry_run, yes = (which.pop(name) for name in ("everything", "dry_run", "yes"))
    if is_filtered(which) == everyone:
        fail(
            "Give a job; or a filter such as --after, --tag, --state, --label; or --all without one.", REFUSED
        )
    # Oldest first, the order in which it happened.
    jobs = [job for job in services().store.jobs.every(wanted(which)) if means(job)][::-1]
    click.echo(f"{quantity(len(jobs), 'job matches', 'jobs match')}.", err=True)
    if dry_run:
        if json_wanted:
            show_json(Counted(count=len(jobs)))
        return
    if question and not yes:
        click.confirm(question, abort=True, err=True)
    on = _given(which) | ({"all": True} if everyone else {})
    with acting(f"jobs.{_ACTIONS[word]}", *(job.job_id for job in jobs), **on) as acted:
        acted.did(count=len(jobs))
        done, failed = _done(do(jobs), len(jobs), word, acted)
    _conclude(done, failed, len(jobs), word, json_wanted)


def _done(fates: Fates, count: int, word: str, acted: Act) -> tuple[int, list[NotDone]]:
    failed: list[NotDone] = []
    with bar(range(count), word) as progress:
        for job_id, why in fates:
            progress.update(1)
            acted.did(**{"done" if why is None else "failed": 1})
            if why is not None:
                failed.append(NotDone(job_id=job_id, why=why))
    return count - len(failed), failed


def _conclude(done: int, failed: list[NotDone], count: int, word: str, json_wanted: bool) -> None:
    if json_wanted:
        show_json(ManyDone(count=count, done=done, failed=failed))
    else:
        click.echo(f"{done} {word}")
    for each in failed[:_SHOWN]:
        say(f"{each.job_id}: {each.why}", err=True)
    if len(failed) > _SHOWN:
        click.echo(f"… and {len(failed) - _SHOWN} more: --json has all.", err=True)
    sys.exit(1 if failed else 0)


def _replayed(jobs: Iterable[Job], rate: float, only: Only | None) -> Iterator[tuple[str, str | None]]:
    began = time.monotonic()
    for number, job in enumerate(jobs):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        made = services().store.replays.replay(job.job_id, me(), only)
        yield job.job_id, None if made else "Nothing has been reported about this job yet."
