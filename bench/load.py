"""Clients that send prepared requests over keep-alive connections, and the cost of serving them."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.processes import cpu_seconds
from harness.servers import eventually


@dataclass(frozen=True, slots=True)
class Request:
    """``status`` is the expected status; another one ends the run."""

    path: str
    body: bytes | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Round:
    """Requests a second, latencies in milliseconds, and microseconds of processor time per request."""

    rate: float
    latencies: list[float]
    cpu_us: float

    def percentile(self, share: float) -> float:
        return percentile(self.latencies, share)


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def run(
    port: int,
    shares: Sequence[Sequence[Request]],
    pids: Sequence[int],
    finished: Callable[[], bool] = lambda: True,
) -> Round:
    """One connection for each share, all concurrently. The requests are built before the clock starts, because clients
    and servers share the machine. The processor time of ``pids`` is counted, until ``finished``: a server may answer
    before its work is done."""
    latencies: list[float] = []
    failures: list[str] = []
    before, began = cpu_seconds(pids), time.perf_counter()
    threads = [threading.Thread(target=_client, args=(port, each, latencies, failures)) for each in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise SystemExit(failures[0])
    eventually(finished, "the work after the answers to end")
    cpu = cpu_seconds(pids) - before
    return Round(len(latencies) / seconds, latencies, cpu * 1e6 / len(latencies))


def _client(port: int, requests: Sequence[Request], latencies: list[float], failures: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for each in requests:
            began = time.perf_counter()
            connection.request(each.method, each.path, each.body, dict(each.headers))
            answer = connection.getresponse()
            text = answer.read()
            latencies.append((time.perf_counter() - began) * 1000)
            if answer.status != each.status:
                failures.append(f"{each.method} {each.path} answered {answer.status}: {text[:300]!r}")
                return
    except (OSError, http.client.HTTPException) as error:
        failures.append(f"{each.method} {each.path}: {error!r}")
    finally:
        connection.close()


def shared(make: Callable[[int], Request], count: int, connections: int) -> list[list[Request]]:
    """``count`` numbered requests, distributed over the connections."""
    return [[make(number) for number in range(share, count, connections)] for share in range(connections)]
