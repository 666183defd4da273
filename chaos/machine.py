"""The part on one machine: send and inject faults, wait, verify, report."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app.core.tokens import Binding, mint
from app.services import Services
from chaos import plan, report
from chaos.calm import is_calm, until
from chaos.downstream import CountingEndpoint
from chaos.processes import Stack
from chaos.sender import Sender
from chaos.settings import settings_of
from chaos.verify import Verification, verify
from harness.servers import free_port, is_up

_READY_S = 60
_CALM_S = 180


def run_on_one_machine(
    callbacks: int, seconds: float, seed: int, durability: str, folder: Path
) -> tuple[Verification, str]:
    """The verification, and the report."""
    chance = random.Random(seed)
    messages = plan.messages(callbacks, chance)
    kills, troubles = plan.kills(seconds, chance), plan.troubles(seconds)
    downstream = CountingEndpoint(random.Random(seed))
    port = free_port()
    settings = settings_of(
        f"unix://{folder / 's'}",
        f"http://127.0.0.1:{port}",
        f"127.0.0.1:{downstream.port}",
        "127.0.0.0/8",
        durability=durability,
        spool_dir=str(folder / "spool"),
    )
    stack = Stack(settings, port, folder)
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}/readyz"), "the service to be ready", _READY_S)
        store = Services.open(settings, timeout=5).store
        path = f"/callbacks/{mint(Binding(name='chaos'), settings.callback_keys)}"
        sender = Sender([("127.0.0.1", port)], path, 16, random.Random(seed))
        over = threading.Event()
        done: Counter[str] = Counter()
        breakers = [
            threading.Thread(target=_break, args=(stack, kills, random.Random(seed), done, over)),
            threading.Thread(target=_trouble, args=(stack, troubles, done, over)),
        ]
        for breaker in breakers:
            breaker.start()
        began = time.monotonic()
        sent = sender.send(messages, seconds)
        sending_s = time.monotonic() - began
        over.set()
        for breaker in breakers:
            breaker.join()
        calm_s = until(lambda: is_calm(store, [folder / "spool"]), "all queues to be empty", _CALM_S)
        verdict = verify(store, sent.answered, stack.notes, downstream.seen)
        head = f"seed {seed}, {callbacks} callbacks over {seconds:g} s, DURABILITY={durability}; files in {folder}"
        numbers = report.answers(sent) | {
            "broken": report.counts(done),
            "starts": report.counts(Counter(stack.starts)),
            **report.took(sending_s, calm_s, downstream),
        }
        return verdict, report.render_page("one machine", head, len(messages), numbers, verdict)
    finally:
        stack.close()
        downstream.close()


def _break(
    stack: Stack, kills: list[plan.Kill], chance: random.Random, done: Counter[str], over: threading.Event
) -> None:
    began = time.monotonic()
    for kill in kills:
        if over.wait(max(0.0, began + kill.at - time.monotonic())):
            return
        if stack.kill(kill.kind, chance):
            done[f"{kill.kind} killed"] += 1


def _trouble(stack: Stack, troubles: list[plan.Trouble], done: Counter[str], over: threading.Event) -> None:
    began = time.monotonic()
    ways: dict[str, Callable[[float], None]] = {
        "redis down": stack.hold_redis,
        "disk full": stack.fill_disk,
        "redis stalled": stack.stall_redis,
    }
    for trouble in troubles:
        if over.wait(max(0.0, began + trouble.at - time.monotonic())):
            return
        ways[trouble.kind](trouble.seconds)
        done[f"{trouble.kind} for {trouble.seconds:.0f} s"] += 1
