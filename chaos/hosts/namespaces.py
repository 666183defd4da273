"""Several hosts on one machine: one process and its children get a network, process ids and mounts of their own.

They belong to one ``unshare`` and have no name outside. When its first process ends for any reason, the kernel ends all
processes in it and removes the networks. So nothing is left behind, and two runs cannot collide (unshare(1)).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

RUN = Path("/run")
"""A tmpfs covers it inside: ``ip netns`` stores its names there."""


def reason_unavailable() -> str | None:
    """One line if this machine cannot make namespaces; else None."""
    missing = [name for name in ("unshare", "ip", "mount") if tool(name) is None]
    if missing:
        return f"{' and '.join(missing)}: not installed"
    steps = f"mount -t tmpfs none {RUN} && {tool('ip')} netns add probe && {tool('ip')} link add probe type bridge"
    probe = subprocess.run(enclosed(["sh", "-c", steps]), capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        return None
    return f"network namespaces cannot be made: {' '.join(probe.stderr.split()) or 'no permission'}"


def tool(name: str) -> str | None:
    """The path of a program; /usr/sbin and /sbin may be missing in PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def enclosed(command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` as the first process of new namespaces, as root inside them."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    apart = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [tool("unshare") or "unshare", *as_root, *apart, *command]
