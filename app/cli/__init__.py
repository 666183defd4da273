"""The product's commands, under ``flask``."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.cli import (
        callback_url,
        doctor,
        failures,
        jobs,
        jobs_import,
        keys,
        queues,
        refusals,
        replay,
        spool,
        submit,
        trigger,
    )

    jobs.group.add_command(jobs_import.command)
    groups = (submit.group, jobs.group, failures.group, refusals.group, queues.group, keys.group, spool.group)
    for command in (*groups, callback_url.group, doctor.command, trigger.command):
        app.cli.add_command(command)
    for more in replay.commands:
        jobs.group.add_command(more)
