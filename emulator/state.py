"""The emulator: all of its parts, wired together."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from emulator.callbacks.notify import Notifier
from emulator.callbacks.outbox import Outbox
from emulator.ci.queues import Queues
from emulator.ci.templates import Templates
from emulator.cos.objects import Objects
from emulator.database import Database
from emulator.faults import Faults, fault_from_text
from emulator.jobs.engine import Engine
from emulator.jobs.jobs import Jobs
from emulator.settings import Options, Settings, change

KEPT_REQUESTS = 2000


class Emulator:
    """What the endpoints use. `requests` are the latest KEPT_REQUESTS requests, for tests to inspect."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings: Settings = options.settings
        self.database = Database(options.data)
        self.jobs = Jobs(self.database)
        self.queues = Queues(self.database)
        self.templates = Templates(self.database)
        self.objects = Objects(self.database)
        self.outbox = Outbox(self.database)
        self.faults = Faults()
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self._lock = threading.Lock()
        self._arm()
        self.engine = Engine(
            database=self.database,
            jobs=self.jobs,
            objects=self.objects,
            templates=self.templates,
            notifier=Notifier(self.outbox, self.queues, self.faults),
            outbox=self.outbox,
            settings=lambda: self.settings,
        )

    def _arm(self) -> None:
        for text in self.options.faults:
            self.faults.arm(fault_from_text(text))

    def change_settings(self, changes: dict[str, Any]) -> Settings:
        with self._lock:
            self.settings = change(self.settings, changes)
        return self.settings

    def reset(self) -> None:
        """Delete all data, and restore the settings and faults of the command line."""
        self.database.clear()
        self.faults.disarm()
        self._arm()
        self.requests.clear()
        with self._lock:
            self.settings = self.options.settings
