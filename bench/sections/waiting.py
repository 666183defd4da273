"""A thousand clients wait (``?wait=``, server-sent events), each for its own job; what they cost other requests."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from app.core.tokens import Binding
from app.services import Services
from app.store.access.api_keys import SCOPES
from app.submitter.callback_url import callback_url
from bench import payloads
from bench.load import Request, percentile, run, shared
from bench.options import Options
from bench.processes import memory
from bench.serve import serve
from bench.settings import measured_settings
from bench.table import Row, ratios, row
from harness.servers import Valkey, eventually

_SECTION = "1,000 waiting clients, half ?wait=, half SSE"
_CLIENTS = 1000


class Waiters:
    """Clients in their own event loop; ``heard`` is the wall-clock time of each client's answer, by job, in seconds."""

    def __init__(self, port: int, key: str, jobs: list[str]) -> None:
        self._port, self._key, self._jobs = port, key, jobs
        self.heard: dict[str, float] = {}
        self.failed: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        self._loop.run_until_complete(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(number, job) for number, job in enumerate(self._jobs)))

    async def _one(self, number: int, job: str) -> None:
        await asyncio.sleep(number * 0.002)
        is_stream = number % 2 == 0
        path = f"/v1/events?job_id={job}" if is_stream else f"/v1/jobs/{job}?wait=60"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
            wanted = b"data:" if is_stream else b'"terminal":'
            received = b""
            while wanted not in received:
                more = await reader.read(65536)
                if not more:
                    raise ConnectionError(f"closed after {received[:200]!r}")
                received += more
            self.heard[job] = time.time()
            if b"200" not in received[:20]:
                self.failed.append(received[:200].decode())
            writer.close()
        except OSError as error:
            self.failed.append(repr(error))


def measure(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, Valkey(Path(name)) as store:
        settings = measured_settings(store.url, key_prefix="ci:", outbox_max=10_000_000)
        key = Services.open(settings, timeout=5).store.api_keys.create("bench", frozenset(SCOPES))
        path = "/callbacks/" + callback_url(settings, Binding(name="bench")).rpartition("/")[2]
        without, with_them, delays, used = [], [], [], []
        costs: dict[str, list[float]] = {"alone": [], "beside": []}
        with serve(settings, Path(name), ("ours",)) as servers:
            server = servers["ours"]
            pids = [server.pid, store.pid]
            for number in range(max(2, options.rounds // 2) + 1):
                others = [_others(path, number * 2 + half, options) for half in (0, 1)]
                alone = run(server.port, others[0], pids)
                names = [f"{number:03}{each:05}w" for each in range(_CLIENTS)]
                run(server.port, _callbacks(path, names, "Running"), [])
                waiters = Waiters(server.port, key, [payloads.job_id(each) for each in names])
                waiters.start()
                # Starts when all clients wait, so that the cost of their requests is not counted.
                _until_all_wait(waiters, server.port)
                time.sleep(1)
                used.append(memory([server.pid]) / 2**20)
                beside = run(server.port, others[1], pids)
                delays += _end(server.port, path, names, waiters)
                if number:
                    without.append(alone.rate)
                    with_them.append(beside.rate)
                    costs["alone"].append(alone.cpu_us)
                    costs["beside"].append(beside.cpu_us)
    return [
        row(
            _SECTION,
            "accept, a second: with them / without",
            ratios(with_them, without),
            "",
            aim=0.95,
            at_least=True,
        ),
        row(
            _SECTION,
            "accept, processor time: without / with them",
            ratios(costs["alone"], costs["beside"]),
            "",
            aim=0.95,
            at_least=True,
        ),
        row(
            _SECTION,
            "from the callback's 200 until its client has heard, p50",
            [percentile(delays, 0.5)],
            "ms",
        ),
        row(
            _SECTION,
            "from the callback's 200 until its client has heard, p99",
            [percentile(delays, 0.99)],
            "ms",
            aim=100,
        ),
        row(_SECTION, "memory (PSS) of two web processes with them", used, "MiB"),
    ]


def _others(path: str, number: int, options: Options) -> list[list[Request]]:
    return shared(
        lambda each: Request(path, payloads.voice_separate(f"{number:04}{each:08}o", xml=each % 2 == 0)),
        options.requests // 2,
        options.connections,
    )


def _callbacks(path: str, names: list[str], state: str) -> list[list[Request]]:
    return shared(
        lambda each: Request(path, payloads.voice_separate(names[each], xml=False, state=state)),
        len(names),
        4,
    )


def _until_all_wait(waiters: Waiters, port: int) -> None:
    eventually(lambda: waiters.failed or _waiting(port) == _CLIENTS, "all to wait", 120)


def _waiting(port: int) -> int:
    """The number of waiting clients in all processes, from the server's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        int(float(each.split()[1])) for each in lines if each.startswith(("ci_waiting ", "ci_listeners "))
    )


def _end(port: int, path: str, names: list[str], waiters: Waiters) -> list[float]:
    """End one job after another; returns the milliseconds from the callback's answer until its client is notified."""
    ended: dict[str, float] = {}
    for each in names:
        run(port, [[Request(path, payloads.voice_separate(each, xml=False))]], [])
        ended[payloads.job_id(each)] = time.time()
    waiters.join(30)
    if waiters.failed:
        raise SystemExit(f"{len(waiters.failed)} clients failed, the first: {waiters.failed[0]}")
    missing = [job for job in ended if job not in waiters.heard]
    if missing:
        raise SystemExit(f"{len(missing)} clients have not heard")
    return [(waiters.heard[job] - at) * 1000 for job, at in ended.items()]
