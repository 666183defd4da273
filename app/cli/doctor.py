"""``flask doctor``: check everything that this service needs, and say what to do about each fault."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from app.cli.options import as_json
from app.cli.output import say, show_json
from app.core.logs import plain
from app.doctor.checks import CHECKS
from app.doctor.finding import Finding
from app.documents.doctor import Diagnosis, FindingView
from app.redis.outage import OUTAGE
from app.web.services import services

_LABELS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command("doctor")
@as_json
@with_appcontext
def command(json_wanted: bool) -> None:
    """Check every setting, permission and dependency, and say what to do. Costs nothing.

    Exit code 0: no check failed; 1: some check failed. Settings that are wrong in themselves stop any command
    with a message of their own (exit code 2).
    """
    OUTAGE.silent = True
    findings = [finding for check in CHECKS for finding in check(services())]
    failed = sum(finding.level == "fail" for finding in findings)
    if json_wanted:
        views = [FindingView.model_validate(finding._asdict()) for finding in findings]
        show_json(Diagnosis(ok=not failed, findings=views))
    else:
        for finding in findings:
            _show(finding)
        warned = sum(finding.level == "warn" for finding in findings)
        click.echo(f"{len(findings)} checks: {failed} failed, {warned} with a warning.")
    sys.exit(1 if failed else 0)


def _show(finding: Finding) -> None:
    label, colour = _LABELS[finding.level]
    click.echo(f"{click.style(label, fg=colour)}  {plain(f'{finding.what}: {finding.said}')}")
    if finding.todo:
        say(f"      {finding.todo}")
