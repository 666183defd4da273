"""Whether the number of stored jobs affects speed: 1,000 jobs compared with many (``--large``: a million)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from app.ci.incoming.payload import parse
from app.core.tokens import Binding
from app.services import Services
from app.store import News, Store
from app.store.access.api_keys import SCOPES
from app.submitter.callback_url import callback_url
from bench import payloads
from bench.load import Request, run, shared
from bench.options import Options
from bench.serve import serve
from bench.settings import measured_settings
from bench.table import Row, ratios, row
from harness.servers import Valkey

_FEW = 1000
_FILLERS = 4


@dataclass(frozen=True, slots=True)
class _Side:
    """One service with its store; the processor time of ``pids`` is counted."""

    services: Services
    port: int
    pids: list[int]
    key: str

    @property
    def path(self) -> str:
        return "/callbacks/" + callback_url(self.services.settings, Binding(name="bench")).rpartition("/")[2]


def measure(options: Options) -> list[Row]:
    """Both run at the same time and are measured alternately, so that other load affects both alike."""
    many = options.stored
    section = f"processor time with {many:,} jobs stored / with {_FEW:,}"
    cpu: dict[str, dict[int, list[float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = {stored: _side(stack, folder / str(stored)) for stored in (_FEW, many)}
        for stored, side in sides.items():
            _fill(side.services.store, stored)
        for number in range(options.rounds + 1):
            for stored, side in sides.items():
                for what, requests in _kinds(side.path, side.key, number, options).items():
                    result = run(side.port, requests, side.pids)
                    if number:
                        cpu.setdefault(what, {}).setdefault(stored, []).append(result.cpu_us)
    return [row(section, what, ratios(done[many], done[_FEW]), "", aim=1.2) for what, done in cpu.items()]


def _side(stack: ExitStack, folder: Path) -> _Side:
    folder.mkdir()
    store = stack.enter_context(Valkey(folder))
    settings = measured_settings(store.url, outbox_max=10_000_000, jobs_max=10_000_000)
    services = Services.open(settings, timeout=60)
    key = services.store.api_keys.create("bench", frozenset(SCOPES))
    server = stack.enter_context(serve(settings, folder, ("ours",)))["ours"]
    return _Side(services, server.port, [server.pid, store.pid], key)


def _fill(store: Store, count: int) -> None:
    """Store that many finished jobs with the accept script. Syncing is off, because it would take most of the time."""
    redis = store.db.client
    synced = str(redis.config_get("appendfsync")["appendfsync"])
    redis.config_set("appendfsync", "no")
    redis.config_set("auto-aof-rewrite-percentage", 0)
    with ThreadPoolExecutor(_FILLERS) as fillers:
        shares = [range(share, count, _FILLERS) for share in range(_FILLERS)]
        list(fillers.map(_put, [store] * _FILLERS, shares))
    redis.config_set("appendfsync", synced)


def _put(store: Store, numbers: Iterable[int]) -> None:
    for number in numbers:
        body = payloads.voice_separate(str(number), xml=False)
        note = {"verified": ["token", "binding"]}
        store.acceptor.accept(News(parse(body).details, "callback", "token", body, note=note))


def _kinds(path: str, key: str, number: int, options: Options) -> dict[str, list[list[Request]]]:
    headers = {"Authorization": f"Bearer {key}"}

    def get(target: str) -> list[list[Request]]:
        return shared(
            lambda _: Request(target, None, "GET", headers), options.requests // 3, options.connections
        )

    return {
        "accept": shared(
            lambda each: Request(path, payloads.voice_separate(f"n{number:04}{each:08}", xml=each % 2 == 0)),
            options.requests,
            options.connections,
        ),
        "a page of 50, two filters": get("/v1/jobs?state=Success&tag=VoiceSeparate&limit=50"),
        "look-up by user data": get("/v1/jobs?user_data=order-42&limit=1"),
    }
