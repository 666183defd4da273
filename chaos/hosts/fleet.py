"""Two hosts that receive callbacks and two that run handlers; they share only Redis."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import requests

from app.settings import Settings
from chaos.handlers import NOTES
from chaos.hosts.network import Host
from chaos.processes import Supervised
from harness.servers import as_environment

PORT = 8000


class Fleet:
    """gunicorn on each host of ``receivers``, with a spool of its own; worker and relay on each of ``workers``."""

    def __init__(
        self, receivers: Sequence[Host], workers: Sequence[Host], settings: Settings, folder: Path
    ) -> None:
        self.receivers = receivers
        self.notes = folder / "notes"
        self.notes.touch()
        self.spools = [folder / host.name / "spool" for host in receivers]
        common = os.environ | as_environment(settings) | {"HOST": "0.0.0.0", "PORT": str(PORT)}
        common |= {NOTES: str(self.notes)}
        script = str(Path(sys.executable).with_name("gunicorn"))
        web = [sys.executable, script, "--config", "gunicorn.conf.py", "app:create_app()"]
        self._kept: list[Supervised] = []
        for host, spool in zip(receivers, self.spools, strict=True):
            self._keep(host, "web", web, folder, common | {"SPOOL_DIR": str(spool)})
        for host in workers:
            for name in ("worker", "relay"):
                self._keep(host, name, [sys.executable, "-m", f"workers.{name}"], folder, common)

    def _keep(
        self, host: Host, name: str, command: list[str], folder: Path, environment: dict[str, str]
    ) -> None:
        home = folder / host.name
        home.mkdir(exist_ok=True)
        self._kept.append(Supervised(name, host.command(command), home, environment))

    def is_ready(self) -> bool:
        return all(_status(host) == "ok" for host in self.receivers)

    def close(self) -> None:
        for kept in reversed(self._kept):
            kept.close()


def _status(host: Host) -> str | None:
    try:
        answer: dict[str, str] = requests.get(f"http://{host.front}:{PORT}/readyz", timeout=3).json()
    except (requests.RequestException, ValueError):
        return None
    return answer.get("status")
