"""The service under a process runner that restarts each process half a second after it has died."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from app.settings import Settings
from chaos.handlers import NOTES
from harness.servers import as_environment
from stack import valkey as embedded

ROOT = Path(__file__).parent.parent
_RESTART_DELAY_S = 0.5


class Supervised:
    """One process, restarted until ``close``; it stays down while ``held``."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.held = False
        self.starts = 0
        self._command, self._environment, self._log = command, environment, folder / f"{name}.log"
        self._closing = threading.Event()
        self._popen: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        popen = self._popen
        return popen.pid if popen is not None and popen.poll() is None else None

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children() if self.pid else []
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL to this process alone, as a crash would."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, number)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        popen = self._popen
        if popen is not None:
            descendants = _descendants(popen.pid)
            popen.kill()
            popen.wait()
            for each in descendants:
                _kill(each)

    def _keep(self) -> None:
        while not self._closing.is_set():
            if not self.held and self.pid is None:
                with self._log.open("ab") as log:
                    # SIGXFSZ stays ignored, so that write() returns an error, as on a full disk.
                    self._popen = subprocess.Popen(
                        self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log,
                        start_new_session=True, restore_signals=False,
                    )  # fmt: skip
                self.starts += 1
            self._closing.wait(_RESTART_DELAY_S)


class Stack:
    """Redis, web, relay and worker on one machine."""

    def __init__(self, settings: Settings, port: int, folder: Path) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        environment = os.environ | as_environment(settings) | {"HOST": "127.0.0.1", "PORT": str(port)}
        environment |= {NOTES: str(self.notes)}
        self.socket = folder / "s"
        config = folder / "valkey.conf"
        # Redis is killed too: docs/durability.md lists what `everysec` loses then.
        embedded.write_config(config, self.socket, folder / "data", fsync="always")
        python, unlink_socket = (
            sys.executable,
            "import os, sys; os.path.exists(sys.argv[1]) and os.unlink(sys.argv[1]); ",
        )
        # A server that was killed leaves its socket behind.
        launch = [python, "-c", unlink_socket + "os.execv(sys.argv[2], sys.argv[2:])", str(self.socket)]
        commands = {
            "redis": [*launch, embedded.binary(), str(config)],
            "web": [python, "-m", "gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"],
            "relay": [python, "-m", "workers.relay"],
            "worker": [python, "-m", "workers.worker"],
        }
        self._kept = {
            name: Supervised(name, command, folder, environment) for name, command in commands.items()
        }
        self.redis, self.web, self.relay, self.worker = self._kept.values()

    @property
    def starts(self) -> dict[str, int]:
        return {name: kept.starts for name, kept in self._kept.items()}

    def close(self) -> None:
        for kept in reversed(self._kept.values()):
            kept.close()

    def kill(self, kind: str, chance: random.Random) -> bool:
        """Kill such a process; False if none was running."""
        processes: dict[str, Supervised] = {
            "web master": self.web, "relay": self.relay, "worker": self.worker, "redis": self.redis
        }  # fmt: skip
        if kind in processes:
            was_there = processes[kind].pid is not None
            processes[kind].kill()
            return was_there
        candidates = self.web.children() if kind == "web worker" else self._batches()
        if candidates:
            _kill(chance.choice(candidates))
        return bool(candidates)

    def _batches(self) -> list[psutil.Process]:
        """RQ's workers and the processes of their batches."""
        found = self.worker.children()
        for member in list(found):
            try:
                found += member.children()
            except psutil.NoSuchProcess:
                continue
        return found

    def hold_redis(self, seconds: float) -> None:
        self.redis.held = True
        self.redis.kill()
        time.sleep(seconds)
        self.redis.held = False

    def stall_redis(self, seconds: float) -> None:
        stalled = self.redis.pid
        self.redis.signal(signal.SIGSTOP)
        time.sleep(seconds)
        if stalled and self.redis.pid == stalled:
            self.redis.signal(signal.SIGCONT)

    def fill_disk(self, seconds: float) -> None:
        """Limit the size of Redis' files (RLIMIT_FSIZE), so that its writes fail as on a full disk."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._limit_redis(0)
            time.sleep(0.2)
        self._limit_redis(resource.RLIM_INFINITY)

    def _limit_redis(self, size: int) -> None:
        pid = self.redis.pid
        if pid and hasattr(resource, "prlimit"):
            try:
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
            except (ProcessLookupError, PermissionError):
                return


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
