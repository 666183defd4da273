"""Options that several commands have, and the values that they take."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO = "UTC unless it has an offset, or 30s, 90m, 36h, 7d, 2w ago."
"""What a ``Moment`` may be, for help texts."""


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


def together(*options: Decorator) -> Decorator:
    """One decorator for all of them; ``--help`` lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


as_json = click.option("--json", "json_wanted", is_flag=True, help="Print what the API would return.")
paged = together(
    click.option(
        "--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many at most."
    ),
    click.option("--cursor", help="next_cursor of the page before."),
)
without_asking = click.option("--yes", is_flag=True, help="Do not ask.")


def everything(what: str) -> Decorator:
    return click.option("--all", "everything", is_flag=True, help=f"All {what}, without a filter.")


def reason(stored: str) -> Decorator:
    return click.option("--reason", required=True, help=f"Reason, stored in {stored}.")
