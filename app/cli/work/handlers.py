"""``flask handlers``: list the declared handlers, run one in the foreground.

In a process of its own, as doctor does it: the web service and its commands never hold the code of handlers.
"""

from __future__ import annotations

import subprocess
import sys

import click
from flask.cli import AppGroup

from app.core.processes import ROOT

_MODULE = "workers.handlers_command"

group = AppGroup("handlers", help="Your handlers: list them, run one on a stored job.")


@group.command("list")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
def list_handlers(json_wanted: bool) -> None:
    """List the handlers that HANDLERS declares, their events and limits."""
    _foreground("list", *(["--json"] if json_wanted else []))


@group.command("run")
@click.argument("name")
@click.argument("job_id")
@click.option("--event", help="A stored event of the job. Default: its latest news.")
def run(name: str, job_id: str, event: str | None) -> None:
    """Run one handler on a stored job, in the foreground, for debugging: nothing is recorded or tried again."""
    _foreground("run", *(["--event", event] if event else []), "--", name, job_id)


def _foreground(*arguments: str) -> None:
    """With this terminal, so that a debugger in a handler works; the exit code is the command's."""
    command = [sys.executable, "-m", _MODULE, *arguments]
    raise SystemExit(subprocess.run(command, cwd=ROOT, check=False).returncode)  # noqa: S603 - our own module
