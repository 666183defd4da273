"""Which jobs a command is about: the filters of ``GET /v1/jobs`` as options."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.store.jobs.index import FIELDS
from app.store.jobs.jobs import Filter

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """A time, or how long ago."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value)
        ago = re.fullmatch(r"(\d{1,5})([smhdw])", text)
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is neither 2026-01-31, 2026-01-31T09:00:00+08:00 nor 30s, 90m, 36h, 7d, 2w",
                param,
                ctx,
            )
        return found if found.tzinfo else found.replace(tzinfo=UTC)


_OPTIONS = (
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
        help="Created at that time or later: UTC unless it has an offset, or 30s, 90m, 36h, 7d, 2w ago.",
    ),
    click.option(
        "--before",
        "--created-before",
        "created_before",
        type=Moment(),
        help="Created at that time or earlier.",
    ),
)


def which_jobs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command gets them as keywords, for ``wanted``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted(which: dict[str, Any]) -> Filter:
    return Filter(
        equal=tuple((field, which[field]) for field in FIELDS if which[field] is not None),
        overdue=which["overdue"],
        created_after=_ms(which["created_after"]),
        created_before=_ms(which["created_before"]),
    )


def _ms(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None
