"""``flask submit``: submit jobs to CI."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from app.ci.outgoing.rules.broken import BadRequest, BrokenRule
from app.ci.outgoing.rules.rules import examine
from app.cli.options import as_json
from app.cli.output import (
    NOT_FOUND,
    NOT_YET,
    REFUSED,
    fail,
    guarded,
    show_job,
    show_json,
    show_rules,
    show_submission,
)
from app.cli.submit import many as submit_many
from app.cli.submit.found_at import at_nodes, at_options
from app.cli.submit.voice_options import allow_option, labels_option, submit_request, voice_options
from app.documents.submissions import AcceptedSubmission, SubmitAnswer
from app.submitter import Draft, Receipt, Submitter
from app.submitter.audited import send_audited
from app.submitter.cost import Lengths
from app.submitter.rows import dotted
from app.web.services import services

COMMAND_PATIENCE_S = 60.0

group = AppGroup("submit", help="Submit jobs to CI.")


@group.command("voice-separate")
@voice_options
@click.option(
    "--dry-run", is_flag=True, help="Print the exact XML and the rules; send nothing, cost nothing."
)
@submit_many.options
@as_json
@with_appcontext
@guarded
def voice_separate(dry_run: bool, json_wanted: bool, **options: Any) -> None:
    """Split a recording into vocals and background (and bass and drums, in MusicMode).

    With --from, many of them: each row of the file is a request, and the other options fill what it leaves open.

    Exit code 0: CI has it; 2: the request breaks rules; 4: CI's answer was lost, and is searched for; 5: Redis is away,
    nothing was sent; 6: CI refused, or cannot be reached. With --from, 1: some rows were not taken.
    """
    many = submit_many.Chosen(**{name: options.pop(name) for name in submit_many.Chosen._fields})
    request = {"tag": "VoiceSeparate"} | submit_request(options)
    if many.source:
        submit_many.run(services(), many, request, dry_run, json_wanted)
        return
    if many != submit_many.NONE:
        fail("--report, --parallel, --rate and --max belong to --from.", REFUSED)
    given = frozenset(dotted(request))
    submitter = Submitter(services(), patience=COMMAND_PATIENCE_S)
    wanted, broken = examine(request, submitter.defaults)
    if wanted is None or any(each.severity == "error" for each in broken):
        raise BadRequest(at_options(broken, given))
    _go(submitter, submitter.draft(wanted), dry_run, json_wanted, partial(at_options, given=given))


@group.command("raw")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@allow_option
@labels_option
@click.option(
    "--deadline", type=float, help="Seconds without news after which it is overdue. Default: DEADLINE."
)
@click.option("--dry-run", is_flag=True, help="Print the exact XML; send nothing.")
@as_json
@with_appcontext
@guarded
def raw(
    file: Path,
    allow: tuple[str, ...],
    labels: dict[str, str],
    deadline: float | None,
    dry_run: bool,
    json_wanted: bool,
) -> None:
    """Send a finished XML request (`-`: from standard input) unchanged, with our own CallBack if it has none."""
    submitter = Submitter(services(), patience=COMMAND_PATIENCE_S)
    with click.open_file(str(file), "rb") as opened:
        xml = opened.read()
    try:
        made = submitter.draft_file(xml, allow, {"labels": labels, "deadline": deadline})
    except BadRequest as error:
        raise BadRequest(at_nodes(error.broken)) from None
    _go(submitter, made, dry_run, json_wanted, at_nodes)


@group.command("show")
@click.argument("submission_id")
@as_json
@with_appcontext
@guarded
def show(submission_id: str, json_wanted: bool) -> None:
    """Show a submission, even if it has no job (yet)."""
    found = services().store.submissions.get(submission_id)
    if found is None:
        fail(f"No submission {submission_id} is known here.", NOT_FOUND)
    show_submission(found, json_wanted)


def _go(
    submitter: Submitter,
    draft: Draft,
    dry_run: bool,
    json_wanted: bool,
    found_at: Callable[[Iterable[BrokenRule]], list[BrokenRule]],
) -> None:
    show_rules(found_at(draft.warnings))
    _note_where_callback_goes(draft)
    if dry_run:
        click.echo(draft.xml)
        click.echo(f"It would be {Lengths(services().store).cost_of([draft.asked])}.", err=True)
        return
    receipt = send_audited(submitter, draft)
    if not receipt.job_ids:
        if json_wanted:
            show_json(AcceptedSubmission.of(receipt.record, receipt.warnings))
        fail(
            f"CI's answer was lost: {receipt.record.error}\nThe relay searches CI's list for it; do not submit again. "
            f"See: flask submit show {receipt.submission}",
            NOT_YET,
        )
    _show(receipt, json_wanted)


def _note_where_callback_goes(draft: Draft) -> None:
    if draft.asked.callback != "own":
        where = {"foreign": "to a URL of yours", "queue": "to a queue", "no": "nowhere"}
        target = where[draft.asked.callback]
        click.echo(f"note: CI's callback goes {target}; CI is asked about the job instead.", err=True)


def _show(receipt: Receipt, json_wanted: bool) -> None:
    """One job as the API shows it, several as their list."""
    found = [services().store.jobs.get(job_id) for job_id in receipt.job_ids] if receipt.stored else []
    jobs = [job for job in found if job]
    if not jobs:
        show_json(AcceptedSubmission.of(receipt.record, receipt.warnings))
        click.echo(
            "CI accepted the job, but Redis failed before its id was stored. The relay searches CI's list for it.",
            err=True,
        )
    elif json_wanted:
        show_json(SubmitAnswer.of(jobs, receipt.warnings))
    else:
        for job in jobs:
            show_job(job, json_wanted)
