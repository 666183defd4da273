"""The stack's folders and ports, and the settings of its processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app.core.processes import ROOT
from app.settings import STACK_ENV
from app.settings.development import made_secrets, write_private

# The path of a Unix socket has at most 107 characters (unix(7); 103 on BSD).
_SOCKET_MAX = 100
_SETTLED_S = 60
"""A server that starts binds its socket a moment before it listens."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders, ports and addresses of one checkout's stack."""

    root: Path
    port: int
    emulator_port: int

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def socket(self) -> Path:
        """In the checkout; in the temporary folder if that path is too long or contains a space."""
        inside = self.var / "valkey.sock"
        # redis-py cannot parse CLIENT LIST if the path of the socket contains a space.
        if len(str(inside)) <= _SOCKET_MAX and not any(letter.isspace() for letter in str(inside)):
            return inside
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"{_socket_prefix()}{digest}.sock"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def emulator_url(self) -> str:
        return f"http://127.0.0.1:{self.emulator_port}"

    def settings(self) -> dict[str, str]:
        """The environment of every process: the emulator's account, and the secrets of this checkout."""
        return {
            "REDIS_URL": f"unix://{self.socket}",
            "PUBLIC_URL": self.url,
            "CI_ENDPOINT": self.emulator_url,
            "COS_SECRET_ID": "emulator",
            "COS_SECRET_KEY": "emulator",
            "COS_REGION": "ap-chongqing",
            "COS_BUCKET": "demo-1250000000",
            "SPOOL_DIR": str(self.var / "spool"),
            **self.secrets(),
        }

    def secrets(self) -> dict[str, str]:
        """Made on the first run and stored: callback URLs that CI has must stay valid."""
        return made_secrets(self.var)


def here() -> Layout:
    """The stack of this checkout, with the ports of the environment."""
    ports = (
        int(os.environ.get(name, default)) for name, default in (("PORT", "8000"), ("EMULATOR_PORT", "8001"))
    )
    return Layout(ROOT, *ports)


def remove_dead_sockets() -> None:
    """Those that killed servers left in the temporary folder; their checkouts may be gone, so no start reuses them."""
    for path in Path(tempfile.gettempdir()).glob(f"{_socket_prefix()}*.sock"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _SETTLED_S and not _is_listening(path):
                path.unlink()


def _socket_prefix() -> str:
    return f"ci-{os.getuid()}-"


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # busy
    return True


def announce(layout: Layout, pid: int) -> None:
    """Write the stack's settings to STACK_ENV, from which ``flask`` commands in this checkout read them."""
    withdraw()
    write_private(STACK_ENV, layout.settings() | {"STACK_PID": str(pid)})


def withdraw() -> None:
    STACK_ENV.unlink(missing_ok=True)
