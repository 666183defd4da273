"""Injected faults: what can go wrong between us and CI, for the next N cases or by probability.

A fault is a kind and its parameters, from `--fault KIND:NAME=VALUE,…` or `POST /_emulator/faults`.
They are in memory: after a restart only those of the command line exist. `bucket` restricts one to a bucket.

Requests (`on` chooses the endpoints, see `endpoint_of`; a group `ci`, `object`, `any` too):
    error        CI's error `code` (default InternalError; SlowDown, QueueSaturated, …), `status`, `message`
    slow         answers after `seconds`
    hang         sends nothing for `seconds` (default 60), then closes the connection; the request is not executed
    drop         closes the connection at once; the request is not executed
    lost_answer  executes the request, then closes the connection without an answer
Jobs (`tag` chooses):
    fail         ends Failed with `code` and `message`
    stuck        never ends
    early        ends, with its callback delivered, before the submit is answered
Callbacks (`tag` chooses):
    duplicate    is sent `copies` (default 1) more times, `seconds` apart (default at once)
    disorder     is followed by an older one, in `state` (default Running), `seconds` later
    delay        is sent `seconds` (default 5) late
    lose         is never sent
    truncate     has only the first half of its body
"""

from __future__ import annotations

import dataclasses
import random
import threading
from dataclasses import dataclass
from typing import Any

REQUEST_KINDS = frozenset({"error", "slow", "hang", "drop", "lost_answer"})
JOB_KINDS = frozenset({"fail", "stuck", "early"})
CALLBACK_KINDS = frozenset({"duplicate", "disorder", "delay", "lose", "truncate"})
KINDS = REQUEST_KINDS | JOB_KINDS | CALLBACK_KINDS
ENDPOINTS = frozenset(
    {"any", "ci", "object", "submit", "list", "describe", "cancel", "queues", "queue_update"}
    | {f"template_{method}" for method in ("get", "post", "put", "delete")}
    | {f"object_{method}" for method in ("get", "head", "put", "delete")}
)
_DEFAULT_SECONDS = {"hang": 60.0, "delay": 5.0, "slow": 1.0}


class FaultError(ValueError):
    """A fault that cannot be armed; the text says why."""


@dataclass
class Fault:
    """One armed fault: at most `times` times (None: no end), each with `probability`, drawn from `seed`."""

    kind: str
    on: str = "any"
    bucket: str = ""
    tag: str = ""
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float | None = None
    code: str = ""
    status: int | None = None
    message: str = ""
    copies: int = 1
    state: str = "Running"
    id: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"no fault is named {self.kind[:100]!r}; there are {', '.join(sorted(KINDS))}")
        if self.on not in ENDPOINTS:
            raise FaultError(
                f"no endpoint is named {self.on[:100]!r}; there are {', '.join(sorted(ENDPOINTS))}"
            )
        self._random = random.Random(self.seed)  # noqa: S311  repeatable chance, not secrecy

    @property
    def wait(self) -> float:
        return _DEFAULT_SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    def fires(self) -> bool:
        """Whether it applies this time; each time that it does is counted."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self._random.random() >= self.probability:
            return False
        self.hits += 1
        return True


_CONVERT = {"times": int, "probability": float, "seed": int, "seconds": float, "status": int, "copies": int}
_NAMES = {one.name for one in dataclasses.fields(Fault)} - {"id", "hits"}


def fault_from(spec: dict[str, Any]) -> Fault:
    """Read a fault from names and values, the values as text or already typed. Raises FaultError."""
    unknown = set(spec) - _NAMES
    if unknown or "kind" not in spec:
        raise FaultError(f"unknown names {sorted(unknown)}" if unknown else "kind is required")
    try:
        return Fault(**{n: _CONVERT.get(n, str)(v) for n, v in spec.items() if v is not None})
    except (TypeError, ValueError) as fault:
        raise FaultError(str(fault)) from fault


def fault_from_text(text: str) -> Fault:
    """Read `kind:name=value,name=value`. Raises FaultError."""
    kind, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    return fault_from({"kind": kind, **{name: value for name, _, value in pairs}})


def endpoint_of(method: str, path: str, *, ci: bool) -> str:
    """The name of a request for a fault's `on`: submit, describe, list, cancel, queues, queue_update,
    template_get, …, object_get, …"""
    if not ci:
        return f"object_{method.lower()}"
    first, _, rest = path.lstrip("/").partition("/")
    if first == "jobs":
        names = {
            "POST": "submit",
            "GET": "describe" if rest else "list",
            "PUT": "cancel",
        }
        return names.get(method, "jobs_other")
    if first == "queue":
        return "queues" if method == "GET" else "queue_update"
    return f"template_{method.lower()}" if first == "template" else "ci_other"


class Faults:
    """The armed faults."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._last = 0

    def arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._last += 1
            fault.id = self._last
            self._armed.append(fault)
        return fault

    def disarm(self, fault_id: int | None = None) -> None:
        """Remove one, or all."""
        with self._lock:
            self._armed = [one for one in self._armed if fault_id not in {None, one.id}]

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dataclasses.asdict(one) for one in self._armed]

    def for_request(self, bucket: str, endpoint: str) -> Fault | None:
        """The first fault that fires to a request."""
        names = {endpoint, "object" if endpoint.startswith("object_") else "ci", "any"}
        with self._lock:
            fitting = (one for one in self._fitting(REQUEST_KINDS, bucket) if one.on in names)
            return next((one for one in fitting if one.fires()), None)

    def for_job(self, bucket: str, tag: str) -> dict[str, Fault]:
        """The faults that apply to a new job, by kind."""
        return self._applying(JOB_KINDS, bucket, tag)

    def for_callback(self, bucket: str, tag: str) -> dict[str, Fault]:
        """The faults that apply to a callback, by kind."""
        return self._applying(CALLBACK_KINDS, bucket, tag)

    def _applying(self, kinds: frozenset[str], bucket: str, tag: str) -> dict[str, Fault]:
        faults: dict[str, Fault] = {}
        with self._lock:
            for one in self._fitting(kinds, bucket):
                if one.kind not in faults and one.tag in {"", tag} and one.fires():
                    faults[one.kind] = one
        return faults

    def _fitting(self, kinds: frozenset[str], bucket: str) -> list[Fault]:
        return [one for one in self._armed if one.kind in kinds and one.bucket in {"", bucket}]
