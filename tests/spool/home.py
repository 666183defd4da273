"""A drainer with its folder and its store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app.spool import SUFFIX, Spool
from app.spool.drain import Drainer
from app.store import Store


class Home:
    """A drainer, the outcomes that it reported, and the folder that it drains."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.spool = Spool(folder, 2**24)
        self.said: Counter[str] = Counter()
        self.drainer = self.another()

    def another(self, hear: Callable[[str], None] | None = None) -> Drainer:
        store = self.store
        return Drainer(self.spool, store.acceptor, store.refusals, store.durable, hear or self._hear)

    def _hear(self, outcome: str) -> None:
        self.said[outcome] += 1

    def put(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.spool.append(payload)
        self.spool.hand_over(at_once=True)

    def files(self, suffix: str = SUFFIX) -> list[Path]:
        return sorted(self.spool.folder.glob(f"*{suffix}"))

    def outcomes(self, job_id: str) -> list[object]:
        return [entry["outcome"] for entry in self.store.jobs.history(job_id)[0]]
