"""``flask spool``: what was set aside, and what to do with it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.options import as_json
from app.cli.output import NOT_FOUND, REFUSED, fail, guarded, show_json
from app.core.clock import rfc3339
from app.documents.commands import SetAsideView
from app.spool.aside import DAMAGED, RECORDS, aside_files, each_set_aside, payloads, retry_set_aside
from app.spool.record import record_summary
from app.web.acts import acting
from app.web.services import WebServices, services

group = AppGroup(
    "spool", help="Spooled callbacks that were set aside: list and retry them. Also: accept an empty Redis."
)


@group.command("list")
@as_json
@with_appcontext
@guarded
def list_records(json_wanted: bool) -> None:
    """Records that were set aside on this host: since when, why, and of which jobs."""
    rows = list(chain.from_iterable(each_set_aside(_folder(services()), _rows)))
    if json_wanted:
        show_json(rows)
        return
    for row in rows:
        jobs = ", ".join(row.job_ids) or "unknown job"
        click.echo(f"{row.file}  {row.since}  {row.bytes} bytes  {jobs}: {row.reason}")


@group.command("retry")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@with_appcontext
@guarded
def retry_records(files: tuple[str, ...]) -> None:
    """Retry FILEs, or all that can be retried: a running web process drains them."""
    found = {path.name: path for path in aside_files(_folder(services()), RECORDS)}
    if unknown := set(files) - found.keys():
        fail(f"No such file set aside: {', '.join(sorted(unknown))}. See `flask spool list`.", NOT_FOUND)
    chosen = [path for name, path in found.items() if not files or name in files]
    with acting("spool.retry", files=",".join(files) or None) as done:
        for path in chosen:
            done.did(files=int(retry_set_aside(path)))
    click.echo(f"{len(chosen)} files are pending again.")


@group.command("accept")
@with_appcontext
@guarded
def accept() -> None:
    """Accept that this Redis and SPOOL_DIR belong together although their installation ids differ.

    Where Redis came back empty, once is enough for all receivers; where it has another id, once for each.
    """
    web = services()
    _folder(web)
    if web.installation:
        with acting("spool.accept"):
            web.installation.accept()
    click.echo("Redis and SPOOL_DIR have the same installation id now.")


def _folder(web: WebServices) -> Path:
    if web.spool is None:
        fail("SPOOL_DIR is not set, so there is no spool.", REFUSED)
    return web.spool.folder


def _rows(path: Path) -> list[SetAsideView]:
    since = rfc3339(int(path.stat().st_mtime * 1000))
    about = [(len(each), *record_summary(each)) for each in payloads(path)]
    if path.suffix == DAMAGED:
        about = [(path.stat().st_size, "damaged on the disk; remove the file when you have looked at it", [])]
    return [
        SetAsideView(file=path.name, since=since, bytes=size, reason=_one_line(why), job_ids=list(jobs))
        for size, why, jobs in about
    ]


def _one_line(text: str) -> str:
    """Redis' error messages may quote what a stranger sent."""
    return "".join(each if each.isprintable() else "?" for each in text)
