"""Handlers that misbehave, for HANDLERS: a job's tag selects one. Each notes what it does in the file NOTES."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
import time
from pathlib import Path

from app.store import Event, Job
from workers.registry import handler


def note(word: str, event: Event) -> None:
    """One line, written at once: ``word job_id event_id pid time``."""
    line = f"{word} {event.job_id} {event.event_id} {os.getpid()} {time.time():.3f}\n"
    with Path(os.environ["NOTES"]).open("ab", buffering=0) as file:
        file.write(line.encode())


@handler(tag="Quick", name="quick", tries=3, backoff=0.1)
def quick(event: Event, job: Job) -> None:
    note("quick", event)


@handler(tag="Nothing", name="nothing")
def nothing(event: Event, job: Job) -> None:
    """Does nothing, for measurements."""


@handler(tag="Long", name="long", tries=5, timeout=120)
def long(event: Event, job: Job) -> None:
    """Sleeps as many seconds as the user data says, in small steps."""
    note("begin", event)
    until = time.monotonic() + float(job.user_data or 1)
    while time.monotonic() < until:
        time.sleep(0.05)
    note("end", event)


@handler(tag="Raise", name="raise", tries=3, backoff=0.1)
def fail(event: Event, job: Job) -> None:
    note("raise", event)
    raise ValueError("as requested")


@handler(tag="Kill", name="kill", tries=3, backoff=0.1)
def kill(event: Event, job: Job) -> None:
    note("kill", event)
    os.kill(os.getpid(), signal.SIGKILL)


@handler(tag="Exit", name="exit", tries=3, backoff=0.1)
def leave(event: Event, job: Job) -> None:
    note("exit", event)
    os._exit(0)


@handler(tag="SysExit", name="sysexit", tries=2, backoff=0.1)
def sys_exit(event: Event, job: Job) -> None:
    note("sysexit", event)
    raise SystemExit(0)


@handler(tag="Hog", name="hog", tries=2, backoff=0.1)
def hog(event: Event, job: Job) -> None:
    note("hog", event)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    _ = bytearray(1 << 31)


@handler(tag="Hang", name="hang", tries=2, timeout=1, backoff=0.1)
def hang(event: Event, job: Job) -> None:
    note("hang", event)
    time.sleep(600)


@handler(tag="Swallow", name="swallow", tries=2, timeout=1, backoff=0.1)
def swallow(event: Event, job: Job) -> None:
    note("swallow", event)
    while True:
        try:
            time.sleep(600)
        except BaseException:  # noqa: S112 - the very worst
            continue


@handler(tag="Block", name="block", tries=2, timeout=1, backoff=0.1)
def block(event: Event, job: Job) -> None:
    """Blocks every signal that can be blocked, and holds the interpreter's lock: no other thread runs."""
    note("block", event)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    ctypes.PyDLL(None).sleep(600)


@handler(tag="Thread", name="thread", tries=2, backoff=0.1)
def thread(event: Event, job: Job) -> None:
    """Leaves a thread behind that would keep an ordinary process alive."""
    note("thread", event)
    threading.Thread(target=time.sleep, args=(600,)).start()
