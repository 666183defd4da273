"""Handlers in lanes, for HANDLERS: a job's tag selects one. Each notes what it does in the file NOTES."""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.store import Event, Job
from workers.registry import handler

LEAK: list[bytearray] = []


def note(word: str, event: Event) -> None:
    """One line, written at once: ``word job_id event_id pid time``."""
    line = f"{word} {event.job_id} {event.event_id} {os.getpid()} {time.time():.3f}\n"
    with Path(os.environ["NOTES"]).open("ab", buffering=0) as file:
        file.write(line.encode())


@handler(tag="Quick", name="quick", tries=3, backoff=0.1)
def quick(event: Event, job: Job) -> None:
    note("quick", event)


@handler(tag="Slow", name="slow", queue="slow", tries=1)
def slow(event: Event, job: Job) -> None:
    note("slow", event)
    time.sleep(20)


@handler(tag="Hang", name="hang", queue="slow", tries=1, timeout=600)
def hang(event: Event, job: Job) -> None:
    note("hang", event)
    while True:
        try:
            time.sleep(600)
        except BaseException:  # noqa: S112 - the very worst
            continue


@handler(tag="Leak", name="leak", queue="big", tries=2, backoff=0.1)
def leak(event: Event, job: Job) -> None:
    """Allocates memory and frees none, until no more is left."""
    note("leak", event)
    while True:
        LEAK.append(bytearray(8 << 20))


@handler(tag="Grab", name="grab", queue="big", tries=1)
def grab(event: Event, job: Job) -> None:
    """Allocates gigabytes at once."""
    note("grab", event)
    LEAK.append(bytearray(4 << 30))


@handler(tag="Modest", name="modest", queue="big", tries=1)
def modest(event: Event, job: Job) -> None:
    held = bytearray(64 << 20)
    note("modest", event)
    del held
