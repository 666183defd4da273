"""A process that tests kill while it holds a lock of a spool folder: ``python -m tests.spool.holder``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Literal

from app.services import Services
from app.settings import Settings
from app.spool.record import encode_record
from harness.servers import Process, eventually
from harness.settings import make_settings
from tests.spool.home import Home
from tests.store.samples import news

Role = Literal["writer", "drainer"]

_HOLDS = "holds the lock"


class Holder(Process):
    """A ``writer`` has stored a record of job ``j1`` in its file, which is open. A ``drainer`` drains the folder, has
    stored one record, and does not go on."""

    def __init__(self, role: Role, settings: Settings, folder: Path, log: Path) -> None:
        where = [settings.redis_url, settings.key_prefix, str(folder)]
        super().__init__([sys.executable, "-m", "tests.spool.holder", role, *where], log)

    def start(self) -> None:
        super().start()
        eventually(lambda: _HOLDS in self.text(), lambda: f"a process to hold the lock: {self.text()}")


def main(role: str, redis_url: str, prefix: str, folder: str) -> None:
    settings = make_settings(redis_url, key_prefix=prefix)
    home = Home(Services.open(settings, timeout=5).store, Path(folder))
    never = threading.Event()

    def hold(_outcome: str) -> None:
        sys.stdout.write(_HOLDS)
        sys.stdout.flush()
        never.wait()

    if role == "writer":
        home.spool.append(encode_record(news("j1")))
        hold("")
    home.another(hold).start()
    never.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
