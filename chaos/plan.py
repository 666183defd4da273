"""The callbacks and the schedule of faults; both depend on the seed alone."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Literal

Target = Literal["web worker", "web master", "relay", "worker", "batch", "redis"]
TroubleKind = Literal["redis down", "disk full", "redis stalled"]

KILLS: tuple[Target, ...] = ("web worker", "web worker", "web master", "relay", "worker", "batch", "redis")


@dataclass(frozen=True, slots=True)
class Message:
    """One callback. A duplicate has the same ``number`` and the same bytes."""

    number: int
    job_id: str
    state: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Kill:
    at: float
    kind: Target


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault with a duration; ``at`` and ``seconds`` are in seconds from the start."""

    at: float
    seconds: float
    kind: TroubleKind


def messages(count: int, chance: random.Random) -> list[Message]:
    """Three callbacks for each job, normally in order; a tenth is sent twice, a tenth out of order."""
    sent: list[tuple[float, Message]] = []
    jobs = max(1, round(count / 3.3))
    for n in range(jobs):
        begins = n / jobs
        times = [begins + step * 0.004 + chance.random() * 0.002 for step in range(3)]
        if (
            chance.random() < 0.2
        ):  # a fifth of the jobs, so that a tenth of the callbacks is too early or too late
            chance.shuffle(times)
        for step, (state, at) in enumerate(zip(("Submitted", "Running", "Success"), times, strict=True)):
            message = Message(3 * n + step, f"j{n:06d}", state, _body(3 * n + step, f"j{n:06d}", state))
            sent.append((at, message))
            if chance.random() < 0.1:
                sent.append((at + chance.random() * 0.02, message))
    return [message for _, message in sorted(sent, key=lambda pair: pair[0])]


def kills(seconds: float, chance: random.Random) -> list[Kill]:
    """One kill every one to two seconds."""
    found: list[Kill] = []
    at = 2.0
    while at < seconds - 2:
        found.append(Kill(at, chance.choice(KILLS)))
        at += chance.uniform(1.0, 2.0)
    return found


def troubles(seconds: float) -> list[Trouble]:
    """Redis is down for 20 s, its disk full for 10 s, stalled for 10 s; shorter in a run below 120 s."""
    scale = min(1.0, seconds / 120)
    return [
        Trouble(seconds * 0.15, 20 * scale, "redis down"),
        Trouble(seconds * 0.45, 10 * scale, "disk full"),
        Trouble(seconds * 0.70, 10 * scale, "redis stalled"),
    ]


def _body(number: int, job_id: str, state: str) -> bytes:
    """Alternately JSON and XML; each body is unique."""
    ended = f"2026-01-02T10:{number // 60 % 60:02d}:{number % 60:02d}+0800" if state == "Success" else "-"
    detail = {
        "Code": "Success",
        "Message": f"callback {number}",
        "JobId": job_id,
        "State": state,
        "CreationTime": "2026-01-02T10:00:00+0800",
        "EndTime": ended,
        "Tag": "VoiceSeparate",
    }
    if number % 2:
        return json.dumps({"EventName": "TaskFinish", "JobsDetail": [detail]}).encode()
    nodes = "".join(f"<{name}>{value}</{name}>" for name, value in detail.items())
    return f"<Response><EventName>TaskFinish</EventName><JobsDetail>{nodes}</JobsDetail></Response>".encode()
