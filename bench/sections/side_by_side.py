"""The cost of one callback with several receivers, measured alternately: Debian's Go ``webhook`` that starts
``/bin/true``, a hand-written endpoint, and ours. docs/performance.md compares what each of them does."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from app.core.tokens import Binding
from app.submitter.callback_url import callback_url
from bench import payloads
from bench.load import Request, Round, run, shared
from bench.options import Options
from bench.sections.handlers import EVENTS, FORKED, rq_rate, throughput
from bench.serve import Server, serve
from bench.settings import measured_settings
from bench.table import Row, row
from harness.servers import Process, Valkey, eventually, free_port, is_up

_SECTION = "one callback, side by side (processor time of server, store and what it starts)"
_RUNS = "no-op runs after the answer, side by side (two workers each)"
_WEBHOOK = "webhook (Go) and /bin/true"


def measure(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, Valkey(Path(name), "--appendfsync", "always") as store:
        settings = measured_settings(store.url, key_prefix="ci:", outbox_max=10_000_000)
        ours = "/callbacks/" + callback_url(settings, Binding(name="bench")).rpartition("/")[2]
        paths = {"bare": "/", "usual": "/", "ours": ours, _WEBHOOK: "/hooks/ci"}
        with serve(settings, Path(name)) as servers, _webhook(Path(name)) as webhook:
            rounds = _rounds(options, servers | webhook, paths, store.pid)
    cpu = [row(_SECTION, name, [each.cpu_us for each in done], "µs") for name, done in rounds.items()]
    rate = [
        row(_SECTION, f"{name}: rate", [each.rate for each in done], "/s") for name, done in rounds.items()
    ]
    return cpu + rate + _runs(options)


def _runs(options: Options) -> list[Row]:
    """Processing after the answer: no-op runs a second with two workers, RQ's own and ours."""
    forked: list[float] = []
    simple: list[float] = []
    ours: list[float] = []
    for _ in range(max(1, options.rounds // 2)):
        with tempfile.TemporaryDirectory() as name, Valkey(Path(name)) as store:
            forked.append(rq_rate(store, Path(name), "rq.worker.Worker", FORKED))
            simple.append(rq_rate(store, Path(name), "rq.worker.SimpleWorker", EVENTS))
            ours.append(throughput(store, Path(name)).rate)
    return [
        row(_RUNS, "RQ's Worker: a fork for each", forked, "/s"),
        row(_RUNS, "RQ's SimpleWorker: no fork", simple, "/s"),
        row(_RUNS, "ours: a fork for each batch", ours, "/s"),
    ]


def _rounds(
    options: Options, servers: dict[str, Server], paths: dict[str, str], store: int
) -> dict[str, list[Round]]:
    """Alternating rounds; the first of each receiver is a warm-up."""
    done: dict[str, list[Round]] = {name: [] for name in servers}
    for number in range(options.rounds + 1):
        for name, server in servers.items():
            requests = shared(
                lambda each, n=number, path=paths[name]: Request(  # type: ignore[misc]
                    path, payloads.voice_separate(f"{n:04}{each:012}", xml=each // 8 % 2 == 0)
                ),
                options.requests,
                options.connections,
            )
            result = run(server.port, requests, [server.pid, store], partial(_is_idle, name, server))
            if number:
                done[name].append(result)
    return done


def _is_idle(name: str, server: Server) -> bool:
    """Go's webhook answers first; then it starts the commands."""
    return name != _WEBHOOK or not psutil.Process(server.pid).children()


@contextmanager
def _webhook(folder: Path) -> Iterator[dict[str, Server]]:
    """Debian's package ``webhook``; if it is not installed, prints a line and yields nothing."""
    program = shutil.which("webhook")
    if program is None:
        sys.stderr.write("webhook is not installed, and left out: apt install webhook\n")
        yield {}
        return
    hooks, port = folder / "hooks.json", free_port()
    hooks.write_text(json.dumps([{"id": "ci", "execute-command": "/bin/true"}]))
    command = [program, "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)]
    with Process(command, folder / "webhook.log") as process:
        eventually(lambda: is_up(f"http://127.0.0.1:{port}/"), process.text)
        yield {_WEBHOOK: Server(port, process.pid)}
