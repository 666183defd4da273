"""The cost of one callback: ``make bench``. It compares ratios within one run, because machines are noisy.

Three endpoints under the same gunicorn (same workers and threads), fed with the same VoiceSeparate callbacks, each
for a job of its own, in turns A B C A B C …:

- ``bare``    a Flask view that reads the body and answers 200;
- ``usual``   the common implementation: Flask, defusedxml, ``queue.enqueue`` of a pickled dict;
- ``ours``    POST /callbacks/<token>: verified, normalized, compared, stored with its history and its event.

Then the cost of the worst bodies (``bench.worst``).
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from app.core.tokens import Binding
from app.settings import Settings
from app.submitter.callback_url import callback_url
from bench import payloads, worst
from bench.serve import ENDPOINTS, serve
from harness.servers import Valkey, free_port


@dataclass(frozen=True, slots=True)
class Measurement:
    """One round of one endpoint: requests a second, and latencies in milliseconds."""

    rate: float
    latencies: list[float]


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, Valkey(Path(folder)) as server:
        settings = _settings(server.url)
        path = "/callbacks/" + callback_url(settings, Binding(name="bench")).rpartition("/")[2]
        with serve(settings, Path(folder)) as ports:
            rounds: dict[str, list[Measurement]] = {name: [] for name in ENDPOINTS}
            for number in range(arguments.rounds + 1):
                for name in ENDPOINTS:
                    target = path if name == "ours" else "/"
                    result = _round(ports[name], target, arguments.connections, arguments.requests, number)
                    if number:  # the first round warms up
                        rounds[name].append(result)
    _report(rounds, arguments)
    worst.report()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1500, help="in each round of each endpoint")
    parser.add_argument("--connections", type=int, default=8)
    return parser.parse_args()


def _settings(url: str) -> Settings:
    values = {
        "redis_url": url,
        "public_url": f"http://127.0.0.1:{free_port()}",
        "cos_secret_id": "emulator",
        "cos_secret_key": "emulator",
        "cos_region": "ap-chongqing",
        "cos_bucket": "demo-1250000000",
        "callback_keys": "k1:0123456789abcdef0123456789abcdef",
        "outbox_max": 10_000_000,
    }
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]


def _round(port: int, path: str, connections: int, requests: int, number: int) -> Measurement:
    latencies: list[float] = []
    lock = threading.Lock()

    # Made before the clock starts: client and server share the machine.
    bodies = [
        [
            payloads.voice_separate(f"{number:04}{share:04}{each:08}", xml=each % 2 == 0)
            for each in range(requests // connections)
        ]
        for share in range(connections)
    ]

    def client(share: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        mine = []
        for body in bodies[share]:
            began = time.perf_counter()
            connection.request("POST", path, body)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path} answered {answer.status}")
            mine.append((time.perf_counter() - began) * 1000)
        with lock:
            latencies.extend(mine)

    threads = [threading.Thread(target=client, args=(share,)) for share in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measurement(len(latencies) / (time.perf_counter() - began), latencies)


def _report(rounds: dict[str, list[Measurement]], arguments: argparse.Namespace) -> None:
    print(
        f"{arguments.rounds} rounds of {arguments.requests} requests, {arguments.connections} connections; medians"
    )
    print(f"{'endpoint':<8} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8}   of bare  of usual")
    for name, each in rounds.items():
        rate = statistics.median(one.rate for one in each)
        p50, p99 = (statistics.median(_percentile(one.latencies, q) for one in each) for q in (0.5, 0.99))
        ratios = [_ratio(each, rounds[other]) for other in ("bare", "usual")]
        print(f"{name:<8} {rate:>8.0f} {p50:>8.1f} {p99:>8.1f}   {ratios[0]:>7.2f}  {ratios[1]:>8.2f}")
    ours = rounds["ours"]
    print(
        f"\nours / bare {_ratio(ours, rounds['bare']):.2f} (aim 0.5)   "
        f"ours / usual {_ratio(ours, rounds['usual']):.2f} (aim 1.5)"
    )


def _ratio(one: list[Measurement], other: list[Measurement]) -> float:
    """The median of the ratios round by round: the two of a round ran one after the other, under similar load."""
    return statistics.median(a.rate / b.rate for a, b in zip(one, other, strict=True))


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    sys.exit(main())
