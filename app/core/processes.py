"""The name of a process, unique among the hosts that share one Redis (in tries, in presence, as a consumer of the
stream), the release that it runs, and where that is installed."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

RELEASE: Final = "2.0.0"
"""``pyproject.toml`` reads it from here; ``CHANGELOG.md`` has its changes."""

_BESIDE = Path(__file__).resolve().parents[2]
ROOT: Final = _BESIDE if (_BESIDE / "gunicorn.conf.py").exists() else Path.cwd()
"""The checkout, or, for an installed package, the folder that the process was started in."""


def process_name(pid: int | None = None) -> str:
    """``<host>-<pid>`` of this process, or of another process on this host."""
    return f"{socket.gethostname()}-{pid or os.getpid()}"
