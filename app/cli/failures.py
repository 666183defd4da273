"""``flask failures``: runs that are out of tries."""

from __future__ import annotations

from collections.abc import Sequence

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.columns import row
from app.cli.options import as_json, everything, paged, reason, together, without_asking
from app.cli.output import NOT_FOUND, REFUSED, fail, guarded, me, quantity, say, show_json
from app.documents.runs import Counted, Dismissed, FailurePage, FailuresRetried
from app.store.failures.failures import FailureFilter
from app.store.runs.run import Run
from app.web.acts import acting
from app.web.services import services

group = AppGroup("failures", help="Runs that are out of tries: list, retry, dismiss.")


_filters = together(
    click.option("--handler", help="Only of this handler; `forward` for all endpoints."),
    click.option("--endpoint", help="Only of this endpoint of FORWARD_URLS, by its name."),
    click.option("--tag", help="Only of jobs with this tag."),
)


@group.command("list")
@_filters
@paged
@as_json
@with_appcontext
@guarded
def list_failures(limit: int, cursor: str | None, json_wanted: bool, **which: str | None) -> None:
    """The newest failures first."""
    runs, following = services().store.failures.page(FailureFilter(**which), limit, cursor)
    if json_wanted:
        show_json(FailurePage.of(runs, following, private=True))
        return
    _table(runs)
    if following:
        click.echo(f"more: --cursor {following}", err=True)


@group.command("retry")
@click.argument("event_id", required=False)
@_filters
@everything("failures")
@click.option("--dry-run", is_flag=True, help="Only count.")
@without_asking
@as_json
@with_appcontext
@guarded
def retry(
    event_id: str | None, everything: bool, dry_run: bool, yes: bool, json_wanted: bool, **which: str | None
) -> None:
    """Retry failures: those of one event, or all that match, after showing the number."""
    if not (event_id or everything or any(which.values())):
        fail("Give an event, a filter, or --all.", REFUSED)
    store = services().store
    runs = list(store.failures.all(FailureFilter(event_id=event_id, **which)))
    if not (runs or dry_run):
        fail("No failure matches.", NOT_FOUND)
    click.echo(f"{quantity(len(runs), 'failure matches', 'failures match')}.", err=True)
    if dry_run:
        if json_wanted:
            show_json(Counted(count=len(runs)))
        return
    if not (event_id or yes):
        click.confirm("Retry them?", abort=True, err=True)
    given = {"event_id": event_id, "all": everything or None, **which}
    with acting("failures.retry", *_jobs(runs), **given) as done:
        retried = sum(store.failures.retry(run, me()) for run in runs)
        done.did(matched=len(runs), retried=retried)
    if json_wanted:
        show_json(FailuresRetried(matched=len(runs), retried=retried))
    else:
        click.echo(f"{retried} retried")


@group.command("dismiss")
@click.argument("event_id")
@_filters
@reason("the job's history")
@as_json
@with_appcontext
@guarded
def dismiss(event_id: str, reason: str, json_wanted: bool, **which: str | None) -> None:
    """Dismiss the failures of one event."""
    store = services().store
    runs = list(store.failures.all(FailureFilter(event_id=event_id, **which)))
    if not runs:
        fail("No failure of that event matches.", NOT_FOUND)
    with acting("failures.dismiss", *_jobs(runs), event_id=event_id, reason=reason, **which) as done:
        dismissed = sum(store.failures.dismiss(run, me(), reason) for run in runs)
        done.did(dismissed=dismissed)
    if json_wanted:
        show_json(Dismissed(dismissed=dismissed))
    else:
        click.echo(f"{dismissed} dismissed")


def _jobs(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(run.job_id for run in runs if run.job_id))


def _table(runs: Sequence[Run]) -> None:
    """Two lines for each failure; its error stands whole in the job's history."""
    if not runs:
        click.echo("No failure matches.", err=True)
        return
    say(row(f"{'EVENT':<32}", ("HANDLER", 16), ("TRIES", 5), last="ENDED"))
    for run in runs:
        why = run.note or (run.tries[-1].get("error") if run.tries else None)
        cells = (run.endpoint or run.handler, 16), (str(len(run.tries)), 5)
        say(row(run.event_id, *cells, last=(run.ended_at or "-")[:16].replace("T", " ")))
        say(row(f"  {run.job_id or '-'}", last=why or ""))
