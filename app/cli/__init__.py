"""The product's commands, under ``flask``."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import Any

import click
from flask import Flask

from app.core.deferred import uncollected

PRODUCT_COMMANDS = {
    "submit": ("app.cli.submit.command:group", "Submit jobs to CI."),
    "jobs": ("app.cli.jobs.command:group", "Look jobs up, wait for them, ask CI about them."),
    "failures": ("app.cli.failures:group", "Runs that are out of tries: list, retry, dismiss."),
    "refusals": ("app.cli.refusals:group", "Callbacks that were refused although their token was good."),
    "queues": ("app.cli.queues:group", "CI's queues of a bucket."),
    "keys": ("app.cli.keys:group", "API keys: make, list, revoke."),
    "spool": ("app.cli.spool:group", "Records that the drain has set aside: list, retry, discard."),
    "callback-url": ("app.cli.callback_url:group", "A signed URL for the console's queue settings."),
    "handlers": ("app.cli.work.handlers:group", "Your handlers: list them, run one on a stored job."),
    "lanes": ("app.cli.work.lanes:group", "The lanes of the workers: handlers with the same queue=."),
    "doctor": ("app.cli.doctor:command", "Check every setting, permission and dependency."),
    "trigger": ("app.cli.trigger:command", "Have the emulator send a callback."),
}
"""Each command: where it is, and its line in the list of commands."""


def init_app(app: Flask) -> None:
    for name, (where, line) in PRODUCT_COMMANDS.items():
        app.cli.add_command(LateCommand(name, line, where))


def is_looking_for_commands() -> bool:
    """Whether ``flask`` made the application to find or list commands. Its own ``run``, ``routes`` and ``shell`` need
    the views and make it in a context of their own; a server makes it in none."""
    from flask.cli import FlaskGroup

    context = click.get_current_context(silent=True)
    return context is not None and context.parent is None and isinstance(context.command, FlaskGroup)


class LateCommand(click.Command):
    """A command that is imported only when it is called; ``where`` is ``module:attribute``. Importing all commands
    would take longer than most of them run."""

    def __init__(self, name: str, short_help: str, where: str) -> None:
        super().__init__(name, short_help=short_help)
        self._where = where

    @cached_property
    def command(self) -> click.Command:
        module, _, attribute = self._where.partition(":")
        with uncollected():
            found: click.Command = getattr(import_module(module), attribute)
        return found

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The command's own context: what runs is the command, with its own options and help."""
        return self.command.make_context(info_name, args, parent, **extra)
