"""``flask jobs import``: store the jobs of CI's list."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime

import click
from flask.cli import with_appcontext

from app.cli.options import AGO, Moment, as_json
from app.cli.output import guarded, show_json
from app.documents.jobs import JobsImported
from app.reconcile.job_list import Span, import_job, walk
from app.web.services import services


@click.command("import")
@click.option(
    "--since",
    required=True,
    type=Moment(),
    help=f"Only jobs made at that time or later: {AGO}",
)
@click.option("--until", type=Moment(), help="Only jobs made before that. Default: now.")
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
@as_json
@with_appcontext
@guarded
def command(
    since: datetime,
    until: datetime | None,
    tags: tuple[str, ...],
    bucket: str | None,
    region: str | None,
    json_wanted: bool,
) -> None:
    """Read CI's list; store unknown jobs and news of known ones.

    What is new is an event like any other: handlers run for it. Doing it twice changes nothing.
    """
    ours = services()
    place = bucket or ours.settings.cos_bucket, region or ours.settings.cos_region
    counts: Counter[str] = Counter(new=0, news=0, known=0)
    for tag in dict.fromkeys(tags):
        found = walk(ours, Span(*place, tag, since, until))
        # CI does not say how many there are.
        with click.progressbar(found, label=f"importing {tag}", file=sys.stderr, show_pos=True) as details:
            for detail, asked_ms in details:
                counts[import_job(ours, detail, asked_ms)] += 1
    if json_wanted:
        show_json(JobsImported.model_validate(counts))
        return
    click.echo(
        f"{counts.total()} jobs: {counts['new']} new, {counts['news']} with news, {counts['known']} known."
    )
