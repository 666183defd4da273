"""Several hosts on one machine: a network, process ids and mounts of their own, for one process and what it starts.

All of it belongs to one ``unshare`` and has no name outside: when its first process ends, however it ends, the kernel
ends every process in it and takes the networks down. So nothing can be left behind, and two runs cannot collide.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

RUN = Path("/run")
"""Covered inside: ``ip netns`` keeps its names in there."""


def why_not() -> str | None:
    """One line, where namespaces cannot be made here."""
    missing = [name for name in ("unshare", "ip", "mount") if tool(name) is None]
    if missing:
        return f"{' and '.join(missing)}: not installed"
    steps = f"mount -t tmpfs none {RUN} && {tool('ip')} netns add probe && {tool('ip')} link add probe type bridge"
    probe = subprocess.run(enclosed(["sh", "-c", steps]), capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        return None
    return f"network namespaces cannot be made: {' '.join(probe.stderr.split()) or 'no permission'}"


def tool(name: str) -> str | None:
    """Where it is; the folders of administrators are not on everyone's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def enclosed(command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` as the first process in there. Whoever is not root becomes it, inside only."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    apart = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [tool("unshare") or "unshare", *as_root, *apart, *command]
