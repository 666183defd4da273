"""The product's commands, under ``flask``."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.cli import callback_url, jobs, keys, submit, trigger

    for command in (submit.group, jobs.group, keys.group, callback_url.command, trigger.command):
        app.cli.add_command(command)
