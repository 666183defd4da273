"""Options that several commands have, and the values that they take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from app.core.moments import AGO, moment

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


class Moment(click.ParamType[datetime]):
    """A time, or how long ago."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return moment(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def together(*options: Decorator) -> Decorator:
    """One decorator for all of them; ``--help`` lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class _Renamed(click.Option):
    """An option whose help names its first name only; the others are those that it had before."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        names, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names


def between(what: str, *, earlier: tuple[str, str] = ("", ""), required: bool = False) -> Decorator:
    """``--after`` and ``--before``, the same in every command, which gets them as keywords. ``earlier`` is how the
    command called them before; ``required``: it needs the first."""
    names = [tuple(filter(None, pair)) for pair in zip(("--after", "--before"), earlier, strict=True)]
    return together(
        click.option(
            *names[0],
            "after",
            cls=_Renamed,
            type=Moment(),
            required=required,
            help=f"{what} at that time or later: {AGO}",
        ),
        click.option(
            *names[1], "before", cls=_Renamed, type=Moment(), help=f"{what} at that time or earlier."
        ),
    )


as_json = click.option("--json", "json_wanted", is_flag=True, help="Print what the API would return.")
paged = together(
    click.option(
        "--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many at most."
    ),
    click.option("--cursor", help="next_cursor of the page before."),
)
without_asking = click.option("--yes", is_flag=True, help="Do not ask.")


def labels(text: str) -> Decorator:
    """``--label NAME=VALUE``, repeatable; the command gets a dict."""
    return click.option(
        "--label", "labels", multiple=True, callback=_labels, metavar="NAME=VALUE", help=f"{text} Repeatable."
    )


def _labels(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE")
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice")
        found[name] = value
    return found


def everything(what: str) -> Decorator:
    return click.option("--all", "everything", is_flag=True, help=f"All {what}, without a filter.")


def reason(stored: str) -> Decorator:
    return click.option("--reason", required=True, help=f"Reason, stored in {stored}.")
