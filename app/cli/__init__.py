"""The product's commands, under ``flask``."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.cli import callback_url, failures, jobs, keys, replay, submit, trigger

    for command in (
        submit.group,
        jobs.group,
        failures.group,
        keys.group,
        callback_url.command,
        trigger.command,
    ):
        app.cli.add_command(command)
    for more in replay.commands:
        jobs.group.add_command(more)
