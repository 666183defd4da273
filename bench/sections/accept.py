"""Accepting a callback (a new job, a duplicate, a refused token), compared with a bare view and a typical endpoint.

All servers have the same number of processes; the peers run on gunicorn's ``gthread`` with 32 threads, a common
deployment, and on ``gevent``. All alternate on one Valkey with ``appendfsync always``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from app.core.tokens import Binding
from app.settings import Settings
from app.submitter.callback_url import callback_url
from bench import payloads
from bench.load import Request, Round, run, shared
from bench.options import Options
from bench.serve import Server, serve
from bench.settings import measured_settings
from bench.table import Row, ratios, row
from harness.servers import Valkey

_SECTION = "accepting a callback (processor time of web and store)"

_SCRIPT = "ours: of it, accept.lua"

Make = Callable[[int], Request]


class _ScriptTime:
    """``each_us``: microseconds per call of a script in each watched round, from the server's command statistics."""

    def __init__(self, url: str) -> None:
        self.each_us: list[float] = []
        self._redis = Redis.from_url(url)

    @contextmanager
    def watched(self, is_wanted: bool) -> Iterator[None]:
        calls, spent = self._so_far()
        yield
        if is_wanted:
            now, total = self._so_far()
            self.each_us.append((total - spent) / (now - calls))

    def _so_far(self) -> tuple[int, int]:
        found = self._redis.info("commandstats").get("cmdstat_evalsha", {})
        return found.get("calls", 0), found.get("usec", 0)


def measure(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, Valkey(Path(name), "--appendfsync", "always") as store:
        settings = measured_settings(store.url, key_prefix="ci:", outbox_max=10_000_000)
        with (
            serve(settings, Path(name)) as servers,
            serve(settings, Path(name), ("bare", "usual"), BENCH_WORKER_CLASS="gevent") as gevent,
        ):
            chosen = servers | {f"{each} on gevent": server for each, server in gevent.items()}
            script = _ScriptTime(store.url)
            rounds = _rounds(options, settings, chosen, store.pid, script)
            return [*_rows(rounds), row(_SECTION, _SCRIPT, script.each_us, "µs")]


def _rounds(
    options: Options, settings: Settings, servers: dict[str, Server], store: int, script: _ScriptTime
) -> dict[str, list[Round]]:
    """Alternating rounds: A B C A B C …; the first round of each server is a warm-up."""
    good = "/callbacks/" + callback_url(settings, Binding(name="bench")).rpartition("/")[2]
    bad = good[:-4] + "AAAA"
    done: dict[str, list[Round]] = {}
    for number in range(options.rounds + 1):
        kinds: dict[str, tuple[str, Make]] = {
            **{name: (name, _news(number, "/")) for name in servers if name != "ours"},
            "ours": ("ours", _news(number, good)),
            "duplicate": ("ours", lambda each: Request(good, _body(each % 20, 0))),
            "refused token": ("ours", lambda each: Request(bad, _body(each, 0), status=403)),
        }
        for kind, (name, make) in kinds.items():
            server = servers[name]
            requests = shared(make, options.requests, options.connections)
            with script.watched(kind == "ours" and number > 0):
                result = run(server.port, requests, [server.pid, store])
            if number:
                done.setdefault(kind, []).append(result)
    return done


def _news(number: int, path: str) -> Make:
    return lambda each: Request(path, _body(each, number))


def _body(each: int, number: int) -> bytes:
    """The callback of a new job for each number and round, alternately XML and JSON."""
    return payloads.voice_separate(f"{number:04}{each:012}", xml=each // 8 % 2 == 0)


def _rows(rounds: dict[str, list[Round]]) -> list[Row]:
    cpu = {kind: [each.cpu_us for each in done] for kind, done in rounds.items()}
    found = [row(_SECTION, kind, values, "µs") for kind, values in cpu.items()]
    for kind, against, aim in (
        ("ours", "usual", 0.9),
        ("ours", "usual on gevent", None),
        ("ours", "bare", 3.5),
        ("ours", "bare on gevent", None),
        ("duplicate", "bare", 2.5),
        ("refused token", "bare", 1.5),
    ):
        found.append(row(_SECTION, f"{kind} / {against}", ratios(cpu[kind], cpu[against]), "", aim=aim))
    for kind, done in rounds.items():
        found.append(row("accepting: requests a second", kind, [each.rate for each in done], "/s"))
    for kind, done in rounds.items():
        found.append(row("accepting: p99", kind, [each.percentile(0.99) for each in done], "ms"))
    return found
