"""``flask jobs import``: store the jobs of CI's list."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from datetime import datetime

import click
from flask.cli import with_appcontext

from app.cli.options import as_json, between
from app.cli.output import bar, guarded, show_json
from app.documents.jobs import JobsImported
from app.reconcile.job_list import Span, foreseen, import_job, walk
from app.store.audit.audit_list import Value
from app.web.acts import acting
from app.web.services import services


@click.command("import")
@between("Made", earlier=("--since", "--until"), required=True)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    default=("VoiceSeparate",),
    show_default=True,
    help="CI lists by tag. Repeatable.",
)
@click.option("--bucket", help="Default: COS_BUCKET.")
@click.option("--region", help="Default: COS_REGION.")
@click.option("--dry-run", is_flag=True, help="Only count; nothing is stored.")
@click.option(
    "--no-handlers",
    "quiet",
    is_flag=True,
    help="Store the jobs, but run no handlers and deliver no events for them.",
)
@as_json
@with_appcontext
@guarded
def command(
    after: datetime,
    before: datetime | None,
    tags: tuple[str, ...],
    bucket: str | None,
    region: str | None,
    dry_run: bool,
    quiet: bool,
    json_wanted: bool,
) -> None:
    """Read CI's list; store unknown jobs and news of known ones.

    What is new is an event like any other: handlers run for it, unless --no-handlers is given. Doing it twice changes
    nothing.
    """
    web = services()
    place = bucket or web.settings.cos_bucket, region or web.settings.cos_region
    counts: Counter[str] = Counter(new=0, news=0, known=0)
    on: dict[str, Value] = {
        "tags": ",".join(tags),
        "bucket": place[0],
        "after": after.isoformat(),
        "handlers": not quiet,
    }
    with nullcontext(None) if dry_run else acting("jobs.import", **on) as done:
        for tag in dict.fromkeys(tags):
            found = walk(web, Span(*place, tag, after, before))
            # CI does not say how many there are.
            with bar(found, f"{'reading' if dry_run else 'importing'} {tag}") as details:
                for detail, asked_ms in details:
                    outcome = (
                        foreseen(web, detail) if dry_run else import_job(web, detail, asked_ms, quiet=quiet)
                    )
                    counts[outcome] += 1
                    if done:
                        done.did(**{outcome: 1})
    if json_wanted:
        show_json(JobsImported.model_validate(counts))
        return
    summary = (
        f"{counts.total()} jobs: {counts['new']} new, {counts['news']} with news, {counts['known']} known."
    )
    click.echo(f"{summary} Nothing was stored." if dry_run else summary)
