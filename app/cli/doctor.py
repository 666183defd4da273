"""``flask doctor``: is everything there that this service needs, and what is to be done where it is not."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from app.cli.output import as_json, say, show_json
from app.core.logs import plain
from app.doctor import CHECKS, Finding
from app.redis.outage import OUTAGE
from app.web.services import services

_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command("doctor")
@as_json
@with_appcontext
def command(json_wanted: bool) -> None:
    """Check every setting, permission and dependency, and say what to do. Costs nothing.

    Exit code 0: nothing stands in the way; 1: something does. Settings that are wrong in themselves stop any command
    with a message of their own (exit code 2).
    """
    OUTAGE.silent = True
    findings = [finding for check in CHECKS for finding in check(services())]
    failed = sum(finding.level == "fail" for finding in findings)
    if json_wanted:
        show_json({"ok": not failed, "findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
        warned = sum(finding.level == "warn" for finding in findings)
        click.echo(f"{len(findings)} checks: {failed} failed, {warned} with a warning.")
    sys.exit(1 if failed else 0)


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.level]
    click.echo(f"{click.style(mark, fg=colour)}  {plain(f'{finding.what}: {finding.said}')}")
    if finding.todo:
        say(f"      {finding.todo}")
