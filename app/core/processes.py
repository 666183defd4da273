"""The name of a process, unique among the hosts that share one Redis (in tries, in presence, as a consumer of the
stream), and the release that it runs."""

from __future__ import annotations

import os
import socket
from typing import Final

RELEASE: Final = "2.0.0"
"""``pyproject.toml`` reads it from here; ``CHANGELOG.md`` has its changes."""


def process_name(pid: int | None = None) -> str:
    """``<host>-<pid>`` of this process, or of another process on this host."""
    return f"{socket.gethostname()}-{pid or os.getpid()}"
