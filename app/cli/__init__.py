"""The product's commands, under ``flask``."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.cli import callback_url, doctor, jobs, jobs_import, keys, queues, submit, trigger

    jobs.group.add_command(jobs_import.command)
    groups = (submit.group, jobs.group, queues.group, keys.group)
    for command in (*groups, callback_url.command, doctor.command, trigger.command):
        app.cli.add_command(command)
