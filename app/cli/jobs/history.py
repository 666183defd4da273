"""``flask jobs history``: the history of a job, and every try of its handlers."""

from __future__ import annotations

from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from app.cli.columns import folded
from app.cli.options import as_json
from app.cli.output import NOT_FOUND, fail, guarded, quantity, say, show_json
from app.documents.jobs import History, HistoryEntry
from app.documents.runs import RunView, TryView
from app.web.services import services


@click.command("history")
@click.argument("job_id")
@as_json
@with_appcontext
@guarded
def command(job_id: str, json_wanted: bool) -> None:
    """Show a job's history, oldest first: each entry, its runs, and each try with its error and traceback.

    Exit code 3: no such job.
    """
    store = services().store
    if store.jobs.get(job_id) is None:
        fail(f"No job {job_id} is known here.", NOT_FOUND)
    entries, count = store.jobs.history(job_id)
    # A caller with the settings has every right, so tracebacks are shown as to a key with the scope admin.
    history = History.of(job_id, entries, count, store.runs.of_job(job_id), private=True)
    if json_wanted:
        show_json(history)
        return
    for line in _lines(history):
        say(line)
    if count > len(history.events):
        say(f"{count} entries in all; {len(history.events)} are stored.", err=True)


def _lines(history: History) -> Iterator[str]:
    for entry in history.events:
        yield from folded(_entry(entry))
        for why in filter(None, (entry.detail, f"doubt: {entry.doubt}" if entry.doubt else None)):
            yield from folded(why, indent=2)
        for run in entry.runs:
            yield from _run(run)


def _entry(entry: HistoryEntry) -> str:
    known = (
        entry.outcome,
        entry.state,
        f"verified by {', '.join(entry.verified)}" if entry.verified else None,
        f"by {entry.by}" if entry.by else None,
        entry.reason,
    )
    return "  ".join((_moment(entry.at), entry.kind, *filter(None, known)))


def _run(run: RunView) -> Iterator[str]:
    to = f" to {run.endpoint}" if run.endpoint else ""
    yield from folded(f"{run.handler}{to}  {run.state}  {quantity(len(run.tries), 'try', 'tries')}", indent=2)
    for each in run.tries:
        yield from _try(each)
    for act in run.acts:
        yield from folded("  ".join(f"{name} {value}" for name, value in act.items()), indent=4)
    if run.note:
        yield from folded(run.note, indent=4)


def _try(each: TryView) -> Iterator[str]:
    took = f"  {each.ms} ms" if each.ms is not None else ""
    status = f"  {each.status}" if each.status else ""
    ended = each.error or ("done" if each.ended_at else "running")
    yield from folded(f"try {each.n}  {_moment(each.started_at)}{took}{status}  {ended}", indent=4)
    for text in filter(None, (each.traceback, each.answer)):
        for line in text.splitlines():
            yield from folded(line, indent=6)


def _moment(at: str) -> str:
    return at[:19].replace("T", " ")
