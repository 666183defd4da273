"""``flask queues``: the queues that CI keeps for a bucket."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.options import as_json
from app.cli.output import guarded, say, show_json
from app.documents.commands import QueueList
from app.provider import Queue
from app.web.services import services

group = AppGroup("queues", help="CI's queues of a bucket.")


@group.command("list")
@click.option("--bucket", help="Default: COS_BUCKET.")
@click.option("--region", help="Default: COS_REGION.")
@click.option("--state", help="Active or Paused. Default: both.")
@click.option(
    "--category", help="CateAll, Transcoding, SpeedTranscoding, … Default: what CI shows by itself."
)
@as_json
@with_appcontext
@guarded
def list_queues(
    bucket: str | None, region: str | None, state: str | None, category: str | None, json_wanted: bool
) -> None:
    """Their ids, states and sizes, and where each sends news of jobs that name no CallBack."""
    web = services()
    found = web.provider.queues(
        bucket or web.settings.cos_bucket, region or web.settings.cos_region, state=state, category=category
    )
    if json_wanted:
        show_json(QueueList(queues=list(found)))
        return
    rows: list[tuple[str, ...]] = [("id", "name", "state", "category", "size", "at once", "news")]
    rows += [_row(queue) for queue in found]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(queue: Queue) -> tuple[str, ...]:
    cells: tuple[Any, ...] = (
        queue.id, queue.name, queue.state, queue.category, queue.max_size, queue.max_concurrent, _news(queue)
    )  # fmt: skip
    return tuple("-" if cell is None else str(cell) for cell in cells)


def _news(queue: Queue) -> str:
    """Not the address itself: it may hold a token."""
    notify = queue.notify
    return f"{notify.type or 'Url'}, {notify.result_format or 'XML'}" if notify.state == "On" else "off"
