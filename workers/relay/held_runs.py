"""Runs that threads of this relay perform: their leases are renewed, and none is started twice here."""

from __future__ import annotations

import time
from collections.abc import Iterator

from msgspec import Struct

from app.store.runs.runs import Runs

RENEW_S = 4.0
"""Seconds between two renewals."""


class HeldRun(Struct, frozen=True):
    """``number``: of its try, 0 until that has begun. ``started``: in milliseconds since 1970. ``until``: from then on
    (``time.monotonic()``) its lease is not renewed, and the run is retried when that ends."""

    number: int = 0
    started: int = 0
    until: float = 0.0


class HeldRuns:
    """One thread claims and renews; each of the others begins and releases its own run."""

    def __init__(self, runs: Runs, lease_s: float) -> None:
        self._runs = runs
        self._lease_s = lease_s
        self._held: dict[str, HeldRun] = {}
        self._next_beat = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def begun(self) -> list[tuple[str, HeldRun]]:
        """The runs whose tries have begun, by id."""
        return [(run_id, held) for run_id, held in list(self._held.items()) if held.number]

    def claim(self, ids: list[str]) -> Iterator[str]:
        """Those of these ids that no thread has: a run whose lease ended may still be performed here."""
        for each in ids:
            if each not in self._held:
                self._held[each] = HeldRun()
                yield each

    def begin(self, run_id: str, number: int, started: int, seconds: float) -> None:
        """A try has begun; renew its lease for ``seconds`` at most."""
        self._held[run_id] = HeldRun(number, started, time.monotonic() + seconds)

    def release(self, run_id: str) -> None:
        self._held.pop(run_id, None)

    def beat(self) -> None:
        """Renew the leases, if it is time. Raises ``UNAVAILABLE``."""
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + RENEW_S
        for run_id, held in self.begun():
            if now < held.until:
                self._runs.beat(run_id, held.number, self._lease_s)
