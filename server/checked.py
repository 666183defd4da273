"""The checked settings that gunicorn's master passes to every worker, until a reload replaces them.

The master holds them as bytes and never parses them, since it imports nothing of the application. A worker that starts
between two reloads gets the same bytes, so that a settings file that has become invalid since does not affect it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_PREFLIGHT_S = 120
"""Seconds. A preflight's calls to Redis have time-outs of their own; this one is for a module that hangs on import."""
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn and we make files of our own in it, with names that cannot be guessed
_held = b""


def held() -> bytes:
    """The settings that were last checked, as bytes for ``app.settings.hold``."""
    return _held


def at_start() -> None:
    """Check the settings, once for each master. If they are invalid, exit with one message on standard error."""
    global _held  # noqa: PLW0603 - the master is one process with one configuration
    if not _held:
        done = subprocess.run(
            [sys.executable, "-m", "app.doctor.preflight"], stdout=subprocess.PIPE, check=False
        )
        if done.returncode:
            sys.exit(done.returncode)
        _held = done.stdout


def guard_reload(server: Any) -> None:
    """Make ``server``, gunicorn's arbiter, ignore a SIGHUP unless the new settings and code can serve."""
    reload = server.reload

    def guarded() -> None:
        global _held  # noqa: PLW0603
        fault, found = _look()
        fault = fault or _fault_of_configuration(server.app)
        if fault:
            server.log.error("The reload was refused; the old configuration stays in use. %s", fault)
            return
        _held = found
        reload()

    server.reload = guarded


def _look() -> tuple[str, bytes]:
    """The fault of the present settings and code in one line, or an empty line and the settings."""
    command = [sys.executable, "-m", "app.doctor.preflight", "--reload"]
    try:
        done = subprocess.run(command, input=_held, capture_output=True, timeout=_PREFLIGHT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"The check of the settings took longer than {_PREFLIGHT_S} s.", b""
    output = done.stderr.decode("utf-8", "replace").strip()
    if not done.returncode:
        sys.stderr.write(f"{output}\n" if output else "")
        return "", done.stdout
    if done.stdout:
        return " ".join(done.stdout.decode("utf-8", "replace").split()), b""
    # The last line of a traceback names the fault, for example of a module that cannot be imported.
    return f"The application cannot be loaded: {output.rpartition(chr(10))[2]}.", b""


def _fault_of_configuration(app: Any) -> str:
    """The fault of gunicorn's own configuration, which would end the master; loaded here first."""
    before = app.cfg
    try:
        app.reload()
    except (Exception, SystemExit) as error:
        return f"gunicorn.conf.py or GUNICORN_CMD_ARGS cannot be loaded ({type(error).__name__}: {error})."
    finally:
        app.cfg = before
    return ""


def temporary_folder() -> str:
    """A folder for temporary files that can be written. Ends the process with one message if no folder is writable."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        if folder := shared_memory():
            return folder
    sys.stderr.write(
        "There is no folder for temporary files that this user can write: mount a tmpfs at /tmp "
        "(docker run --tmpfs /tmp; an emptyDir in Kubernetes), or set TMPDIR.\n"
    )
    sys.exit(2)


def shared_memory(folder: str = _SHARED_MEMORY) -> str | None:
    """A folder in memory for gunicorn's heartbeat files: on a disk, a stalled write makes a worker look dead."""
    return folder if Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK) else None
