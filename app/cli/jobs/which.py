"""Which jobs a command is about: the filters of ``GET /v1/jobs`` as options."""

from __future__ import annotations

from typing import Any

import click

from app.cli.options import between, labels, together
from app.core.clock import ms_of
from app.store.jobs import index
from app.store.jobs.index import INDEXED_FIELDS
from app.store.reading.listing import Filter
from app.web.services import services

which_jobs = together(
    click.option("--state", help="Submitted, Running, Success, Failed, Pause or Cancel."),
    click.option("--tag", help="VoiceSeparate, Transcode, …"),
    click.option("--queue-id", help="In that queue of CI."),
    click.option("--bucket", help="On files of that bucket."),
    click.option("--input-object", help="On that file, by its whole key."),
    click.option("--user-data", help="With exactly that user data."),
    labels("With exactly that label."),
    click.option("--overdue/--not-overdue", default=None, help="Only overdue jobs, or only others."),
    between("Created", earlier=("--created-after", "--created-before")),
)
"""Adds the options; the command gets them as keywords, for ``wanted``."""


def wanted(which: dict[str, Any]) -> Filter:
    """Raises ``click.BadParameter`` for a state that is not one of CI's, and that no job has."""
    if why := services().store.jobs.why_no_state(which["state"]):
        raise click.BadParameter(f"{why}.", param_hint="--state")
    equal = {field: which[field] for field in INDEXED_FIELDS if which[field] is not None}
    return Filter(
        equal=tuple((equal | index.label_values(which["labels"])).items()),
        overdue=which["overdue"],
        created_after=ms_of(which["after"]),
        created_before=ms_of(which["before"]),
    )


def is_filtered(which: dict[str, Any]) -> bool:
    """Whether any filter is given."""
    return any(value is not None and value != {} for value in which.values())
