"""Real processes for tests, started as an operator would start them, and killed at the end of the test."""

from __future__ import annotations

import contextlib
import inspect
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import redis
import requests
from pydantic import SecretStr
from redis.connection import AbstractConnection

from app.core.tokens import CallbackKey
from app.settings import Settings
from app.settings.chats import Chat
from app.store.access.api_keys import SCOPES
from app.web.services import WebServices
from stack import valkey as embedded

ROOT = Path(__file__).parent.parent


PATIENCE_S = 120.0
"""How long a test waits for a state: long enough for a machine with a load of ten times its processors."""

_PORTS = range(20_000, 32_768)
"""Below Linux' range of ephemeral ports (ip(7)), so that no outgoing connection can take one first."""
_reserved: deque[socket.socket] = deque(maxlen=64)


def free_port() -> int:
    """A port of this machine without a listener, which no other call gets, in this process or another one.

    It stays bound here, without listening: servers bind it with SO_REUSEADDR, a probe without that option cannot
    (socket(7)). Only the newest are kept; the server of an older one has bound it long ago."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - any will do
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            continue
        # Only now: with the option set before, two of these could bind the same port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _reserved.append(probe)
        return port


def free_ports(count: int) -> range:
    """Ports that follow each other, as ``free_port`` gives one."""
    while True:
        first = random.choice(_PORTS[:-count])  # noqa: S311 - any will do
        probes = [socket.socket() for _ in range(count)]
        try:
            for n, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + n))
        except OSError:
            for probe in probes:
                probe.close()
            continue
        for probe in probes:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _reserved.extend(probes)
        return range(first, first + count)


def eventually(true: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE_S) -> Any:
    """The first truthy result of ``true()``. Raises AssertionError after ``seconds``, naming ``what``; a callable
    ``what`` is called only then, so that it can quote a log. The longer it has waited, the less often it asks: asking
    takes processor time from what it waits for."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if answer := true():
            return answer
        time.sleep(min(0.02 + waited / 20, 0.25))
    raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")


def default_redis_timeout() -> float:
    """redis-py's default socket_timeout, in seconds."""
    default = inspect.signature(AbstractConnection).parameters["socket_timeout"].default
    return float(default or 0)


class Process:
    """One process with a log; the end of the block kills it and its children."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._command = command
        self.log = log
        self._environment = environment
        self.cwd = ROOT
        self.popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self._command,
                cwd=self.cwd,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self.popen is not None, "not started"
        return self.popen.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to this process alone, as in a crash; its children go on."""
        self.signal(signal.SIGKILL)
        assert self.popen is not None
        self.popen.wait()

    def stop(self, seconds: float = PATIENCE_S) -> int:
        """SIGTERM; the exit code."""
        assert self.popen is not None, "not started"
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.clear()
        return self.popen.returncode

    def clear(self) -> None:
        """SIGKILL to the process and its children, in any state."""
        if self.popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


class Valkey(Process):
    """A real server with its data on disk, on a Unix socket."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "s"
        self.waits_for_data = True
        config = folder / "valkey.conf"
        embedded.write_config(config, self.socket, folder / "data")
        super().__init__([embedded.binary(), str(config), *options], folder / "valkey.log")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        # A killed server leaves its socket behind.
        self.socket.unlink(missing_ok=True)
        super().start()
        eventually(self._answers, lambda: f"{self.socket} to answer: {self.text()}")

    def empty(self) -> None:
        """Remove every key of every test."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()

    def _answers(self) -> bool:
        """Whether it answers a PING: the socket exists before the server listens, and it listens before its data is
        loaded. An error about a password or a right is an answer too."""
        assert self.popen is not None and self.popen.poll() is None, f"the server has ended: {self.text()}"
        with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
            link.settimeout(2)
            link.connect(str(self.socket))
            link.sendall(b"PING\r\n")
            answer = link.recv(100)
            return bool(answer) and not (self.waits_for_data and answer.startswith(b"-LOADING"))
        return False


class Emulator(Process):
    """The stand-in for CI and COS."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "emulator", "--port", str(port), "--data", str(folder / "data")]
        super().__init__([*command, *options], folder / "emulator.log")

    def start(self) -> None:
        super().start()
        eventually(lambda: is_up(f"{self.url}/_emulator/health"), lambda: f"the emulator: {self.text()}")


def is_up(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


class Service:
    """gunicorn, a worker and a relay with the same settings, running inside a ``with`` block."""

    application = "app:create_app()"
    """What gunicorn serves; a subclass may name another."""

    def __init__(self, settings: Settings, port: int, folder: Path, **environment: str) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{port}"
        variables = (
            os.environ | as_environment(settings) | {"HOST": "127.0.0.1", "PORT": str(port)} | environment
        )
        python = sys.executable
        # The script, as in the Procfile: `python -m gunicorn` cannot start a second master (SIGUSR2).
        script = str(Path(python).with_name("gunicorn"))
        gunicorn = [python, script, "--config", "gunicorn.conf.py", self.application]
        self.web = Process(gunicorn, folder / "web.log", variables)
        self.worker = Process([python, "-m", "workers.worker"], folder / "worker.log", variables)
        self.relay = Process([python, "-m", "workers.relay"], folder / "relay.log", variables)
        self.processes: tuple[Process, ...] = (self.web, self.worker, self.relay)
        self.services = WebServices.open(settings, timeout=5)

    def __enter__(self) -> Self:
        for process in self.processes:
            process.start()
        try:
            eventually(lambda: self.ready().get("status") == "ok", "the service to be ready")
        except AssertionError as error:
            self.__exit__(None, None, None)
            logs = "\n".join(process.text() for process in self.processes)
            raise AssertionError(f"{error}\n{logs}") from error
        self.key = self.services.store.api_keys.create("tests", frozenset(SCOPES), replace=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.clear()

    def restart_web(self) -> None:
        """End gunicorn with its workers, which outlive a killed master, and wait until the next serves."""
        self.web.clear()
        self.web.start()
        eventually(lambda: is_up(f"{self.url}/healthz"), self.web.text)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ready(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = requests.get(f"{self.url}/readyz", timeout=5).json()
        except (requests.RequestException, ValueError):
            return {}
        return answer

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """An API call with a key that has all scopes."""
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=90, **options)

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job, once it has ended."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.call("GET", f"/v1/jobs/{job_id}?wait=60").json()
            return found if found["terminal"] else None

        job: dict[str, Any] = eventually(look, f"the job {job_id} to end")
        return job


class Web(Service):
    """The web process alone, without relay and worker."""

    def __init__(self, settings: Settings, port: int, folder: Path, **environment: str) -> None:
        super().__init__(settings, port, folder, **environment)
        self.processes = (self.web,)

    def ready(self) -> dict[str, Any]:
        return {"status": "ok"} if is_up(f"{self.url}/healthz") else {}


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as an operator would write them."""
    return {name.upper(): _as_text(value) for name, value in settings if value is not None}


def _as_text(value: object) -> str:
    if isinstance(value, CallbackKey):
        return f"{value.id}:{value.secret}"
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Chat):
        return _chat_as_text(value)
    if isinstance(value, tuple | frozenset):
        return ",".join(map(_as_text, value))
    return str(value)


def _chat_as_text(chat: Chat) -> str:
    options = [("kind", chat.kind), ("name", chat.name), *(("on", each) for each in sorted(chat.on))]
    options += [("tag", each) for each in sorted(chat.tags)]
    options += [("secret", chat.secret.get_secret_value())] if chat.secret else []
    return f"{chat.address.get_secret_value()}#{urlencode(options)}"
