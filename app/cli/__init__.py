"""The product's commands, under ``flask``."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.cli import callback_url, doctor, failures, keys, queues, refusals, spool, trigger
    from app.cli.jobs import command as jobs
    from app.cli.jobs import jobs_import, many
    from app.cli.submit import command as submit
    from app.cli.work import handlers, lanes

    jobs.group.add_command(jobs_import.command)
    first = (submit.group, jobs.group, failures.group, refusals.group)
    groups = (*first, queues.group, keys.group, spool.group, handlers.group, lanes.group)
    for command in (*groups, callback_url.group, doctor.command, trigger.command):
        app.cli.add_command(command)
    for more in many.commands:
        jobs.group.add_command(more)
