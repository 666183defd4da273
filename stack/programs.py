"""The programs that supervisor keeps running: those of the Procfile, the Redis server and the emulator."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from stack import valkey
from stack.layout import Layout

_HEAD = """\
[supervisord]
nodaemon=true
logfile={logs}/runner.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile={var}/supervisord.pid
{user}
"""

_PROGRAM = """\
[program:{name}]
command={command}
directory={root}
priority={priority}
autorestart=true
startretries=1000
startsecs=2
stopwaitsecs=25
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""


def procfile(root: Path) -> dict[str, str]:
    """The commands of the Procfile, by process."""
    lines = (root / "Procfile").read_text().splitlines()
    return dict((part.strip() for part in line.split(":", 1)) for line in lines if line.strip())  # type: ignore[misc]


def write_supervisor_config(layout: Layout) -> Path:
    """Write supervisor's configuration and return its path."""
    config = layout.var / "valkey.conf"
    # A submission waits for the disk, and with everysec for up to a second.
    valkey.write_config(config, layout.socket, layout.var / "valkey", fsync="always")
    data = str(layout.var / "emulator")
    address = ["--host", "127.0.0.1", "--port", str(layout.emulator_port)]
    commands = {
        "valkey": shlex.join([valkey.binary(), str(config)]),
        **procfile(layout.root),
        "emulator": shlex.join(["python", "-m", "emulator", *address, "--data", data]),
    }
    layout.logs.mkdir(parents=True, exist_ok=True)
    # Without user= supervisor prints a warning to root; the programs run as the user that started it.
    text = _HEAD.format(
        var=_literal(layout.var), logs=_literal(layout.logs), user="user=root" if _is_root() else ""
    )
    for priority, (name, command) in enumerate(commands.items()):
        text += "\n" + _PROGRAM.format(
            name=name,
            command=_literal(_from_this_environment(command)),
            root=_literal(layout.root),
            priority=priority,
            logs=_literal(layout.logs),
        )
    path = layout.var / "supervisord.conf"
    path.write_text(text)
    return path


def _from_this_environment(command: str) -> str:
    """A command of the Procfile with its program from this virtual environment instead of PATH."""
    first, *rest = shlex.split(command)
    beside = Path(sys.executable).parent / first
    return shlex.join([str(beside) if beside.exists() else first, *rest])


def _literal(text: object) -> str:
    """Supervisor expands percent signs, so they are doubled."""
    return str(text).replace("%", "%%")


def _is_root() -> bool:
    return os.geteuid() == 0
