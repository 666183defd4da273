"""Output of commands: values on standard output, everything else on standard error, exit codes that mean something."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import click
from pydantic import BaseModel, RootModel, SerializeAsAny

from app.ci.outgoing.rules.broken import BadRequest, BrokenRule
from app.cli.columns import row
from app.core.logs import plain
from app.provider import ProviderError
from app.redis.cursors import BadCursor
from app.redis.outage import OUTAGE, cause
from app.store import UNAVAILABLE, Job, Unavailable
from app.store.submissions.submissions import OverBudget, Submission
from app.web.describe import text_of

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

REFUSED, NOT_FOUND, NOT_YET, NO_STORE, CI_FAULT = 2, 3, 4, 5, 6
"""Exit codes: invalid request; not found; timed out; Redis is away; CI refused or is away."""


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Every expected error ends the command with one message and its own exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # The command's own message names the outage; a log line would repeat it.
        OUTAGE.silent = True
        try:
            return command(*args, **kwargs)
        except BadRequest as error:
            show_rules(error.broken)
            sys.exit(REFUSED)
        except OverBudget as error:
            fail(f"{error}.", REFUSED)
        except BadCursor:
            fail("The cursor is invalid. Leave it out to start from the newest.", REFUSED)
        except ProviderError as error:
            fail(f"CI: {error}", CI_FAULT)
        except (Unavailable, *UNAVAILABLE) as error:
            fail(f"{cause(error.__cause__ or error)}.", NO_STORE)

    return run


def fail(message: str, code: int) -> NoReturn:
    for line in message.split("\n"):
        say(line, err=True)
    sys.exit(code)


def me() -> str:
    """The user who runs this command, for histories."""
    try:
        return f"{getpass.getuser()} (command)"
    except (OSError, KeyError):
        return "command"


def show_rules(broken: Iterable[BrokenRule]) -> None:
    for each in broken:
        say(f"{each.severity}: {each.field or 'request'}: {each.rule} [{each.word}]", err=True)


def show_json(document: BaseModel | Sequence[BaseModel], indent: int | None = 2) -> None:
    """Print a document as the API returns it, or several as one list."""
    if not isinstance(document, BaseModel):
        document = RootModel[list[SerializeAsAny[BaseModel]]](list(document))
    text = text_of(document, indent)
    if not text.replace("\n", "").isprintable():
        # Control characters are escaped, as JSON allows: a terminal must not obey a stranger's text.
        text = "".join(_escaped(letter) for letter in text)
    click.echo(text)


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]


def say(line: str, *, err: bool = False) -> None:
    """One line for a person; a stranger's control characters in it are replaced."""
    click.echo(plain(line), err=err)


def bar(items: Iterable[T], label: str, *, among_results: bool = False) -> ProgressBar[T]:
    """Progress on standard error, in a log its label alone. ``among_results``: only in a terminal to itself."""
    hidden = among_results and (sys.stdout.isatty() or not sys.stderr.isatty())
    return click.progressbar(items, label=label, file=sys.stderr, show_pos=True, hidden=hidden)


def quantity(number: int, what: str, several: str = "") -> str:
    """``1 try``, ``2 tries``."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def show_job(job: Job, json_wanted: bool) -> None:
    if json_wanted:
        show_json(job)
        return
    say(f"{job.job_id}  {job.state or 'unknown'}  {job.tag or ''}")
    if job.message or (job.code and job.code != "Success"):
        say(f"  {job.code or ''} {job.message or ''}".rstrip())
    if job.doubt:
        what = job.doubt.reported
        say(
            f"  doubt   {job.doubt.reason}: reported {what.state or 'no state'}, ended {what.ended_at or '-'}"
        )
    if outputs := _outputs_in_doubt(job):
        say(f"  outputs {outputs}")
    if job.input and job.input.object:
        say(f"  input   {job.input.bucket}/{job.input.object}")
    for output in job.outputs:
        say(f"  {output.role or 'output':<10} {output.bucket}/{output.object}")
    for name, value in job.labels.items():
        say(f"  label {name}={value}")
    for line in (_media(job), _result(job)):
        if line:
            say(f"  {line}")
    say(f"  created {job.created_at or '-'}, ended {job.ended_at or '-'}, source {job.source}")


def _media(job: Job) -> str | None:
    if not (media := job.media):
        return None
    known = [
        media.format,
        f"{media.duration_s:g} s" if media.duration_s is not None else None,
        f"{media.size} bytes" if media.size is not None else None,
        f"{media.width}x{media.height}" if media.width and media.height else None,
        media.video_codec,
        media.audio_codec,
    ]
    return f"media   {', '.join(filter(None, known))}"


def _result(job: Job) -> str | None:
    if not (result := job.result):
        return None
    if not (verdict := result.verdict):
        return f"result  {result.kind} (with --json)"
    known = (("label", verdict.label), ("suggestion", verdict.suggestion), ("score", verdict.score))
    return f"result  {', '.join(f'{name} {value}' for name, value in known if value is not None)}"


def _outputs_in_doubt(job: Job) -> str | None:
    """Why the outputs of a successful job are not confirmed."""
    return "missing or other files" if job.outputs_ok is False else job.outputs_unchecked


def show_submission(submission: Submission, json_wanted: bool) -> None:
    if json_wanted:
        from app.documents.submissions import SubmissionView  # noqa: PLC0415 - look-ups start without it

        show_json(SubmissionView.of(submission))
        return
    say(f"{submission.id}  {submission.status}  {' '.join(submission.job_ids)}".rstrip())
    say(f"  submitted {submission.submitted_at}, callback {submission.callback}, {submission.bucket}")
    for name, value in submission.labels.items():
        say(f"  label {name}={value}")
    if submission.error:
        say(f"  {submission.error}")


def show_table(jobs: Sequence[Job]) -> None:
    """A line for each job, with what is wrong with its state, or else its object."""
    if not jobs:
        click.echo("No job matches.", err=True)
        return
    say(row(f"{'JOB':<33}", ("STATE", 9), ("CREATED", 11), last="OBJECT OR PROBLEM"))
    for job in jobs:
        what = _marked(job) or (job.input.object if job.input else None) or ""
        cells = (job.state or "unknown", 9), ((job.created_at or "-")[5:16].replace("T", " "), 11)
        say(row(f"{job.job_id:<33}", *cells, last=what))


def _marked(job: Job) -> str:
    """What is wrong with the state, in few words."""
    doubt = f"doubt: {job.doubt.reason}" if job.doubt else None
    outputs = (found := _outputs_in_doubt(job)) and f"outputs {found}"
    return ", ".join(filter(None, (doubt, outputs)))
