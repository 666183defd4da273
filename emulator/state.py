"""The emulator's parts, put together."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from .database import Database
from .engine import Engine
from .faults import Faults, fault_from_text
from .jobs import Jobs
from .notify import Notifier
from .objects import Objects
from .outbox import Outbox
from .queues import Queues
from .settings import Options, Settings, change
from .templates import Templates

KEPT_REQUESTS = 2000


class Emulator:
    """Everything that the endpoints work on. `requests` are the latest requests, for who wants to count."""

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
        """Forget everything, and behave as the command line says again."""
        self.database.clear()
        self.faults.disarm()
        self._arm()
        self.requests.clear()
        with self._lock:
            self.settings = self.options.settings
