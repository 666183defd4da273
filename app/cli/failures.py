"""``flask failures``: what is out of tries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.output import NOT_FOUND, REFUSED, as_json, fail, guarded, me, show_json
from app.core.logs import plain
from app.redis.cursors import BadCursor
from app.store.runs.failures import Wanted
from app.store.runs.runs import Run
from app.web.services import services

group = AppGroup("failures", help="Runs that are out of tries: list, retry, dismiss.")


def _which(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--tag", help="Only of jobs with this tag."),
        click.option("--endpoint", help="Only of this endpoint of FORWARD_URLS, by its name."),
        click.option("--handler", help="Only of this handler; `forward` for all endpoints."),
    ):
        command = option(command)
    return command


@group.command("list")
@_which
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many at most.")
@click.option("--cursor", help="next_cursor of the page before.")
@as_json
@with_appcontext
@guarded
def list_failures(limit: int, cursor: str | None, json_wanted: bool, **which: str | None) -> None:
    """The newest failures first."""
    try:
        runs, following = services().store.failures.page(Wanted(**which), limit, cursor)
    except BadCursor:
        fail("That cursor is not one of ours; leave it out to begin anew.", REFUSED)
    if json_wanted:
        show_json({"failures": [_document(run) for run in runs], "next_cursor": following})
        return
    _table(runs)
    if following:
        click.echo(f"more: --cursor {following}", err=True)


@group.command("retry")
@click.argument("event_id", required=False)
@_which
@click.option("--all", "everything", is_flag=True, help="All failures, without a filter.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@with_appcontext
@guarded
def retry(event_id: str | None, everything: bool, yes: bool, json_wanted: bool, **which: str | None) -> None:
    """Retry failures: those of one event, or all that match, after showing the number."""
    if not (event_id or everything or any(which.values())):
        fail("Name an event, a filter, or --all.", REFUSED)
    store = services().store
    runs = list(store.failures.all(Wanted(event_id=event_id, **which)))
    if not runs:
        fail("No failure matches.", NOT_FOUND)
    click.echo(f"{len(runs)} failures match.", err=True)
    if not (event_id or yes):
        click.confirm("Retry them?", abort=True, err=True)
    retried = sum(store.failures.retry(run, me()) for run in runs)
    if json_wanted:
        show_json({"matched": len(runs), "retried": retried, "dry_run": False, "more": False})
    else:
        click.echo(f"{retried} retried")


@group.command("dismiss")
@click.argument("event_id")
@_which
@click.option("--reason", required=True, help="Reason, stored in the job's history.")
@as_json
@with_appcontext
@guarded
def dismiss(event_id: str, reason: str, json_wanted: bool, **which: str | None) -> None:
    """Dismiss the failures of one event."""
    store = services().store
    runs = list(store.failures.all(Wanted(event_id=event_id, **which)))
    if not runs:
        fail("No failure of that event matches.", NOT_FOUND)
    dismissed = sum(store.failures.dismiss(run, me(), reason) for run in runs)
    if json_wanted:
        show_json({"dismissed": dismissed})
    else:
        click.echo(f"{dismissed} dismissed")


def _document(run: Run) -> dict[str, Any]:
    names = ("event_id", "job_id", "tag", "handler", "endpoint", "state", "note", "acts", "tries")
    return {name: getattr(run, name) for name in names} | {"failed_at": run.ended_at}


def _table(runs: Iterable[Run]) -> None:
    for run in runs:
        why = run.note or (run.tries[-1].get("error") if run.tries else None)
        who = run.endpoint or run.handler
        click.echo(
            plain(f"{run.event_id}  {run.ended_at}  {run.job_id}  {who}  {len(run.tries)} tries: {why or ''}")
        )
