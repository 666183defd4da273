"""Relays and workers as processes, with handlers that misbehave, fed through the store."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from app.services import Services
from app.settings import Settings
from app.store.runs.run import Run
from harness.servers import Process, as_environment, eventually
from tests.store.said import said, tell


class Fleet:
    """Relays and workers that a test can kill and add, and the notes of their handlers."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        relays: int = 1,
        workers: int = 1,
        handlers: tuple[str, ...] = ("tests.workers.some_handlers",),
    ) -> None:
        self.settings = settings.model_copy(update={"handlers": handlers, "check_outputs": False})
        self.services = Services.open(self.settings, timeout=5)
        self.store = self.services.store
        self._folder = folder
        self._notes = folder / "notes"
        self._notes.touch()
        self._numbers = itertools.count()
        self.relays = [self._process("workers.relay") for _ in range(relays)]
        self.workers = [self._process("workers.worker") for _ in range(workers)]

    def _process(self, module: str, *arguments: str) -> Process:
        log = self._folder / f"{module}-{next(self._numbers)}.log"
        environment = os.environ | as_environment(self.settings) | {"NOTES": str(self._notes)}
        return Process([sys.executable, "-m", module, *arguments], log, environment)

    def __enter__(self) -> Self:
        for process in (*self.relays, *self.workers):
            process.start()
        self.until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.relays, *self.workers):
            for each in family(process):
                send(each, signal.SIGKILL)
            process.clear()

    def until_ready(self) -> None:
        seen, roles = self.store.presence.seen, {"relay": self.relays, "worker": self.workers}
        wanted = [role for role, processes in roles.items() if processes]
        eventually(lambda: all(map(seen, wanted)), f"the fleet to be there: {self.logs()}")

    def add_worker(self, *arguments: str) -> Process:
        worker = self._process("workers.worker", *arguments)
        worker.start()
        self.workers.append(worker)
        return worker

    def add_relay(self) -> Process:
        relay = self._process("workers.relay")
        relay.start()
        self.relays.append(relay)
        return relay

    def logs(self) -> str:
        return "\n".join(f"{p.log.name}:\n{p.text()[-3000:]}" for p in (*self.relays, *self.workers))

    def end(self, job_id: str, tag: str, user_data: str | None = None) -> None:
        """Store a callback: this job has ended."""
        tell(self.store, said(job_id, "Success", tag=tag, user_data=user_data))

    def notes(self, word: str) -> list[list[str]]:
        """Lines of the handlers' notes: word, job, event, pid, time."""
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        return [line for line in lines if line[0] == word]

    def times(self, word: str) -> Counter[str]:
        """How often each job has been noted."""
        return Counter(line[1] for line in self.notes(word))

    def run_of(self, job_id: str) -> Run | None:
        runs = self.store.runs.of_job(job_id)
        return runs[0] if runs else None

    def state_of(self, job_id: str) -> str | None:
        run = self.run_of(job_id)
        return run.state if run else None


def family(process: Process) -> list[psutil.Process]:
    """A process and everything it has started, youngest first."""
    try:
        top = psutil.Process(process.pid)
        return [*reversed(top.children(recursive=True)), top]
    except psutil.NoSuchProcess:
        return []


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; a process that has already ended is no error."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def kill_family(process: Process) -> None:
    """SIGKILL to the worker and all its child processes at once, as when a machine loses power."""
    members = family(process)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in members:
            send(each, number)
    if process.popen:
        process.popen.wait()
