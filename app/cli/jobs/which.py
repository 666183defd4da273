"""Which jobs a command is about: the filters of ``GET /v1/jobs`` as options."""

from __future__ import annotations

from typing import Any

import click

from app.cli.options import AGO, Moment, together
from app.core.clock import ms_of
from app.store.jobs.index import INDEXED_FIELDS
from app.store.jobs.jobs import Filter

which_jobs = together(
    click.option("--state", help="Submitted, Running, Success, Failed, Pause or Cancel."),
    click.option("--tag", help="VoiceSeparate, Transcode, …"),
    click.option("--queue-id", help="In that queue of CI."),
    click.option("--bucket", help="On files of that bucket."),
    click.option("--input-object", help="On that file, by its whole key."),
    click.option("--user-data", help="With exactly that user data."),
    click.option("--overdue/--not-overdue", default=None, help="Only overdue jobs, or only others."),
    click.option(
        "--after",
        "--created-after",
        "created_after",
        type=Moment(),
        help=f"Created at that time or later: {AGO}",
    ),
    click.option(
        "--before",
        "--created-before",
        "created_before",
        type=Moment(),
        help="Created at that time or earlier.",
    ),
)
"""Adds the options; the command gets them as keywords, for ``wanted``."""


def wanted(which: dict[str, Any]) -> Filter:
    return Filter(
        equal=tuple((field, which[field]) for field in INDEXED_FIELDS if which[field] is not None),
        overdue=which["overdue"],
        created_after=ms_of(which["created_after"]),
        created_before=ms_of(which["created_before"]),
    )
