"""From the stored event to the handler: throughput compared with RQ's own workers, and latency when idle."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from rq import Queue

from app.core.tokens import Binding
from app.settings import Settings
from app.submitter.callback_url import callback_url
from bench import payloads
from bench.load import Request, run, shared
from bench.options import Options
from bench.processes import cpu_seconds
from bench.sections.reads import fill
from bench.serve import serve
from bench.settings import measured_settings
from bench.table import Row, ratios, row
from harness.servers import ROOT, Process, Valkey, as_environment, eventually, free_port, is_up

_SECTION = "post-processing"
EVENTS = 2000
FORKED = EVENTS // 10
"""Number of jobs for RQ's ``Worker``, which forks for each."""
_IDLE_TRIES = 40
_PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class Throughput:
    """Events a second from the first run to the last, and processor time per event in microseconds."""

    rate: float
    worker_us: float
    relay_us: float


def measure(options: Options) -> list[Row]:
    plain: list[Throughput] = []
    checked: list[Throughput] = []
    workers: list[float] = []
    simple: list[float] = []
    idle: list[float] = []
    for number in range(options.rounds):
        # Pairs in alternating order: on a machine with other work one pair alone is not conclusive.
        for checks in (False, True) if number % 2 == 0 else (True, False):
            if checks:
                checked.append(_checked())
            else:
                plain.append(_plain(None if number % 2 else idle))
        if number % 2 == 0:
            with tempfile.TemporaryDirectory() as name, Valkey(Path(name)) as store:
                workers.append(rq_rate(store, Path(name), "rq.worker.Worker", FORKED))
                simple.append(rq_rate(store, Path(name), "rq.worker.SimpleWorker", EVENTS))
    ours, checking = [each.rate for each in plain], [each.rate for each in checked]
    return [
        row(_SECTION, f"{EVENTS} events, two workers", ours, "/s"),
        row(_SECTION, "RQ's Worker, two of them, a job each", workers, "/s"),
        row(_SECTION, "RQ's SimpleWorker, two of them, no fork", simple, "/s"),
        row(
            _SECTION,
            "ours / RQ's Worker",
            ratios(ours[::2], workers),
            "",
            aim=20,
            at_least=True,
        ),
        row(
            _SECTION,
            "ours / RQ's SimpleWorker",
            ratios(ours[::2], simple),
            "",
        ),
        row(_SECTION, f"{EVENTS} events, check_outputs on, COS answers in 50 ms", checking, "/s"),
        row(_SECTION, "check_outputs on / off", ratios(checking, ours), "", aim=0.95, at_least=True),
        row(_SECTION, "  workers, off: processor time per event", [each.worker_us for each in plain], "µs"),
        row(_SECTION, "  workers, on", [each.worker_us for each in checked], "µs"),
        row(_SECTION, "  relay, off", [each.relay_us for each in plain], "µs"),
        row(_SECTION, "  relay, on: it makes the look-ups", [each.relay_us for each in checked], "µs"),
        row(_SECTION, "idle: from the 200 to the handler's start", idle, "ms", aim=30),
    ]


def _plain(idle: list[float] | None) -> Throughput:
    with tempfile.TemporaryDirectory() as name, Valkey(Path(name)) as store:
        return throughput(store, Path(name), idle)


def _checked() -> Throughput:
    with tempfile.TemporaryDirectory() as name, Valkey(Path(name)) as store, _cos(Path(name)) as cos:
        return throughput(store, Path(name), check_outputs=True, ci_endpoint=cos)


@contextmanager
def _cos(folder: Path) -> Iterator[str]:
    """The URL of a COS that has every object, and answers in 50 ms."""
    port = free_port()
    with Process([sys.executable, "-m", "bench.peers.cos", str(port)], folder / "cos.log", dict(os.environ)):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_up(url), "COS")
        yield url


def throughput(store: Valkey, folder: Path, idle: list[float] | None = None, **changes: object) -> Throughput:
    """Of events that wait when worker and relay start; ``idle`` gets the latencies of single events, in ms. Processor
    time is that between the first run and the last."""
    notes = folder / "notes"
    settings = measured_settings(
        store.url,
        key_prefix="ci:",
        handlers="bench.peers.handlers",
        worker_processes=2,
        outbox_max=10_000_000,
        trust_outputs="demo-1250000000",
        **{"check_outputs": False, **changes},
    )
    environment = os.environ | as_environment(settings) | {"BENCH_NOTES": str(notes)}
    worker = Process([sys.executable, "-m", "workers.worker"], folder / "worker.log", environment)
    relay = Process([sys.executable, "-m", "workers.relay"], folder / "relay.log", environment)
    with serve(settings, folder, ("ours",)) as servers:
        fill(settings, servers["ours"].port, EVENTS)
        with worker, relay:
            eventually(lambda: _count(notes), "the first run", _PATIENCE_S)
            before = cpu_seconds([worker.pid]), cpu_seconds([relay.pid])
            begun = _count(notes)
            eventually(lambda: _count(notes) >= EVENTS, lambda: worker.text() + relay.text(), _PATIENCE_S)
            after = cpu_seconds([worker.pid]), cpu_seconds([relay.pid])
            times = [float(line.split()[1]) for line in notes.read_text().splitlines()]
            if idle is not None:
                idle += _idle(settings, servers["ours"].port, notes)
    per_event = [(b - a) / (EVENTS - begun) * 1e6 for a, b in zip(before, after, strict=True)]
    return Throughput((EVENTS - 1) / (max(times) - min(times)), *per_event)


def _idle(settings: Settings, port: int, notes: Path) -> list[float]:
    path = "/callbacks/" + callback_url(settings, Binding(name="bench")).rpartition("/")[2]
    found = []
    for number in range(_IDLE_TRIES):
        name = f"i{number}"
        time.sleep(0.25)  # until the queue is empty and the processes wait
        before = _count(notes)
        run(port, shared(lambda _, n=name: Request(path, payloads.voice_separate(n, xml=False)), 1, 1), [])  # type: ignore[misc]
        answered = time.time()
        eventually(lambda count=before: _count(notes) > count, "a run")  # type: ignore[misc]
        found.append((float(notes.read_text().split()[-1]) - answered) * 1000)
    return found


def _count(notes: Path) -> int:
    return notes.read_bytes().count(b"\n") if notes.exists() else 0


def rq_rate(store: Valkey, folder: Path, kind: str, count: int) -> float:
    """Jobs a second of two RQ workers, from the first start to the last end."""
    link = Redis.from_url(store.url)
    queue = Queue(f"bench-{kind}", connection=link)
    jobs = [queue.enqueue("bench.peers.rq_jobs.nothing", number) for number in range(count)]
    command = [str(Path(sys.executable).with_name("rq")), "worker", "--burst", "--worker-class", kind]
    command += ["--url", store.url, "--quiet", queue.name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (
        Process(command, folder / "rq-1.log", environment) as one,
        Process(command, folder / "rq-2.log", environment) as two,
    ):
        for each in (one, two):
            assert each.popen is not None
            each.popen.wait(_PATIENCE_S)
    for job in jobs:
        job.refresh()  # type: ignore[no-untyped-call]
    began = min(job.started_at for job in jobs if job.started_at)
    ended = max(job.ended_at for job in jobs if job.ended_at)
    return count / (ended - began).total_seconds()
