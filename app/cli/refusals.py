"""``flask refusals``: callbacks that were refused although their token was good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.columns import fitted
from app.cli.options import as_json, between, everything, paged, reason, together, without_asking
from app.cli.output import NO_STORE, NOT_FOUND, REFUSED, fail, guarded, me, say, show_json
from app.core.clock import ms_of, rfc3339
from app.core.logs import plain
from app.documents.refusals import RefusalPage, RefusalWithBody
from app.documents.runs import Dismissed
from app.store.refusals.refusal import Refusal, RefusalFilter
from app.web.acts import acting
from app.web.services import services

if TYPE_CHECKING:
    from app.receiver.retry import Retried

group = AppGroup("refusals", help="Callbacks that were refused although their token was good.")

_PAGE = 200
_SHOWN = 2000
"""Bytes of a body that a terminal gets."""
_filters = together(
    click.option("--reason", help="Only with this reason, such as malformed_json."),
    click.option("--job-id", help="Only of this job."),
    click.option("--token", help="Only by this URL: its token's fingerprint, as logs show it."),
    click.option("--name", help="Only by URLs of `flask callback-url` with this name."),
    between("Received"),
)


def _wanted(which: dict[str, Any]) -> RefusalFilter:
    moments = {name: ms_of(which[name]) for name in ("after", "before")}
    return RefusalFilter(**(which | moments))


@group.command("list")
@_filters
@paged
@as_json
@with_appcontext
@guarded
def list_refusals(limit: int, cursor: str | None, json_wanted: bool, **which: Any) -> None:
    """The newest refusals first."""
    found, following = services().store.refusals.page(_wanted(which), limit, cursor)
    if json_wanted:
        show_json(RefusalPage.of(found, following))
        return
    _table(found)
    if following:
        click.echo(f"more: --cursor {following}", err=True)


@group.command("show")
@click.argument("refusal_id")
@click.option("--raw", is_flag=True, help="Print the exact bytes of the body, and only them.")
@as_json
@with_appcontext
@guarded
def show(refusal_id: str, raw: bool, json_wanted: bool) -> None:
    """One refusal with its body, as far as it was read. Exit code 3: not found."""
    refusal = _found(refusal_id)
    if raw:
        click.echo(refusal.body, nl=False)
    elif json_wanted:
        show_json(RefusalWithBody.of(refusal))
    else:
        _show(refusal)


@group.command("retry")
@click.argument("refusal_ids", nargs=-1, metavar="[REFUSAL_ID]...")
@_filters
@everything("refusals")
@without_asking
@as_json
@with_appcontext
@guarded
def retry(refusal_ids: tuple[str, ...], everything: bool, yes: bool, json_wanted: bool, **which: Any) -> None:
    """Retry refusals as if they arrived now: those named, or all that match, after showing the number.

    Accepted refusals leave the list. Exit code 1: some were refused again and stay; 3: not found.
    """
    if not (refusal_ids or everything or any(which.values())):
        fail("Give a refusal, a filter, or --all.", REFUSED)
    chosen = [_open(each) for each in refusal_ids] or _all(_wanted(which))
    if not chosen:
        fail("No refusal matches.", NOT_FOUND)
    if not (refusal_ids or yes):
        click.echo(f"{len(chosen)} refusals match.", err=True)
        click.confirm("Retry them?", abort=True, err=True)
    done = []
    given = {name: str(value) for name, value in which.items() if value}
    named = {"refusals": ",".join(refusal_ids) or None, "all": everything or None}
    with acting(
        "refusals.retry", *(job_id for each in chosen for job_id in each.job_ids), **named, **given
    ) as doing:
        for each in chosen:
            done.append(_retry(each))
            doing.did(**{"taken" if done[-1].taken else "refused": 1})
            if not json_wanted:
                _show_retried(done[-1])
    if json_wanted:
        show_json(done)
    sys.exit(0 if all(each.taken for each in done) else 1)


@group.command("dismiss")
@click.argument("refusal_id")
@reason("the history of its jobs")
@as_json
@with_appcontext
@guarded
def dismiss(refusal_id: str, reason: str, json_wanted: bool) -> None:
    """Dismiss a refusal. Exit code 3: not found."""
    kept = _open(refusal_id)
    with acting("refusals.dismiss", *kept.job_ids, refusal=kept.id, reason=reason) as done:
        dismissed = int(services().store.refusals.dismiss(kept, me(), reason))
        done.did(dismissed=dismissed)
    if json_wanted:
        show_json(Dismissed(dismissed=dismissed))
    else:
        click.echo(f"{dismissed} dismissed")


def _retry(refusal: Refusal) -> Retried:
    # The receiver and its metrics: to list refusals needs neither.
    from app.receiver.retry import Partial, Retried, retry_refusal  # noqa: PLC0415
    from app.web.problems import Problem  # noqa: PLC0415

    try:
        return retry_refusal(services(), services().store.refusals.get(refusal.id) or refusal, me())
    except Partial as error:
        return Retried.not_taken(refusal.id, refusal.reason, str(error))
    except Problem as problem:
        fail(
            f"Refusal {refusal.id} stays: {problem.reason}. Storage is unavailable; try again later.",
            NO_STORE,
        )


def _all(wanted: RefusalFilter) -> list[Refusal]:
    """Oldest first, as they came; without their bodies."""
    found: list[Refusal] = []
    cursor: str | None = None
    while True:
        page, cursor = services().store.refusals.page(wanted, _PAGE, cursor)
        found += page
        if cursor is None:
            return found[::-1]


def _found(refusal_id: str) -> Refusal:
    return services().store.refusals.get(refusal_id) or fail(
        f"There is no refusal {plain(refusal_id)}; it was accepted, or has expired (RETENTION_REFUSALS).",
        NOT_FOUND,
    )


def _open(refusal_id: str) -> Refusal:
    refusal = _found(refusal_id)
    if refusal.state != "open":
        fail(f"Refusal {refusal.id} was dismissed.", NOT_FOUND)
    return refusal


def _table(refusals: list[Refusal]) -> None:
    if not refusals:
        click.echo("No refusal matches.", err=True)
        return
    click.echo(f"{'id':<13} {'received (UTC)':<20} {'reason':<23} from or about")
    for each in refusals:
        about = each.name or " ".join(each.job_ids) or each.submission or each.token
        at = rfc3339(each.received_ms)[:19].replace("T", " ")
        click.echo(f"{each.id:<13} {at:<20} {each.reason:<23} {fitted(about, 21)}".rstrip())


def _show(refusal: Refusal) -> None:
    click.echo(f"{refusal.id}  {refusal.state}  {refusal.reason}")
    say(f"  {refusal.detail}")
    lines = {
        "received": rfc3339(refusal.received_ms),
        "spooled": rfc3339(refusal.spooled_ms) if refusal.spooled_ms else "",
        "token": refusal.token,
        "name": refusal.name or "",
        "submission": refusal.submission or "",
        "jobs": " ".join(refusal.job_ids),
        "type": refusal.content_type,
        "body": f"{refusal.size} bytes{'' if refusal.whole else ', not all that was sent'}",
    }
    for name, value in lines.items():
        if value:
            say(f"  {name:<10} {value}")
    for each in refusal.acts:
        say(f"  {each['at']} {each['act']} by {each['by']}: {each['reason']}")
    if refusal.body:
        click.echo("")
        for line in refusal.body[:_SHOWN].decode("utf-8", "replace").split("\n"):
            say(line.removesuffix("\r"))
    if len(refusal.body) > _SHOWN:
        click.echo(f"… {len(refusal.body) - _SHOWN} more bytes: --raw prints all.", err=True)


def _show_retried(done: Retried) -> None:
    if not done.taken:
        say(f"{done.id}  refused: {done.reason}: {done.detail}")
        return
    outcomes = ", ".join(f"{result.job_id} {result.outcome}" for result in done.results)
    say(f"{done.id}  taken: {outcomes or 'a test message, no job'}")
