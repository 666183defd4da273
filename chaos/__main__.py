"""``python -m chaos``: the storm, the wait, the verdict, the report."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from app.services import Services
from app.store import UNAVAILABLE, Store
from app.store.outbox import GROUP
from app.store.runs import schedule_of
from app.store.spool import SUFFIX
from app.tokens import Binding, mint
from chaos import plan
from chaos.downstream import Downstream
from chaos.processes import Stack
from chaos.sender import Sender, Sent
from chaos.verify import Verdict, verify
from tests.conftest import make_settings
from tests.downstream import KEY
from tests.servers import free_port, is_up

_READY_S = 60
_CALM_S = 180


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    verdict, text = storm(options.callbacks, options.seconds, options.seed, options.durability, folder)
    sys.stdout.write(text)
    if options.report:
        Path(options.report).write_text(text)
    return 1 if verdict.lost else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "chaos", description="Break everything while callbacks come in; lose nothing."
    )
    parser.add_argument("--callbacks", type=int, default=20_000)
    parser.add_argument(
        "--seconds", type=float, default=300, help="how long they are sent and things are broken"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", choices=("process", "fsync"), default="process")
    parser.add_argument("--report", help="a file for the report")
    return parser.parse_args()


def storm(callbacks: int, seconds: float, seed: int, durability: str, folder: Path) -> tuple[Verdict, str]:
    """Run it all; the verdict and the report."""
    chance = random.Random(seed)
    messages = plan.messages(callbacks, chance)
    kills, troubles = plan.kills(seconds, chance), plan.troubles(seconds)
    downstream = Downstream(random.Random(seed))
    port = free_port()
    settings = make_settings(
        f"unix://{folder / 's'}",
        public_url=f"http://127.0.0.1:{port}",
        handlers="chaos.handlers",
        durability=durability,
        spool_dir=str(folder / "spool"),
        redis_timeout="1s",
        check_outputs=False,
        forward_urls=f"http://127.0.0.1:{downstream.port}/hook#state=Success",
        forward_keys=KEY,
        forward_allow_private="127.0.0.0/8",
        forward_backoff="0.5s",
        forward_tries=40,
        key_prefix="chaos:",
    )
    stack = Stack(settings, port, folder)
    try:
        _until(lambda: is_up(f"http://127.0.0.1:{port}/readyz"), "the service to be ready", _READY_S)
        store = Services.open(settings, timeout=5).store
        path = f"/callbacks/{mint(Binding(name='chaos'), settings.callback_keys)}"
        sender = Sender(port, path, 16, random.Random(seed))
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
        calm_s = _until(lambda: _is_calm(store, folder / "spool"), "everything to be dealt with", _CALM_S)
        verdict = verify(store, sent.answered, stack.notes, downstream.seen)
        head = f"seed {seed}, {callbacks} callbacks over {seconds:g} s, DURABILITY={durability}; files in {folder}"
        numbers = _numbers(sent, done, stack, downstream, sending_s, calm_s)
        return verdict, _report(head, len(messages), numbers, verdict)
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


def _is_calm(store: Store, spool: Path) -> bool:
    """Nothing waits anywhere: not in the spool, not in the outbox, not in a schedule."""
    if any(spool.glob(f"*{SUFFIX}")):
        return False
    try:
        redis, key = store.db.client, store.db.key
        groups = [g for g in redis.xinfo_groups(key("events")) if g["name"].decode() == GROUP]
        schedules = [key("runs"), *(schedule_of(store.db, each) for each in store.deliveries.endpoints())]
        return (
            bool(groups)
            and groups[0]["pending"] == 0
            and groups[0]["last-delivered-id"].decode() == store.outbox.last_id()
            and not any(redis.zcard(schedule) for schedule in schedules)
        )
    except UNAVAILABLE:
        return False


def _until(true: Callable[[], object], what: str, seconds: float) -> float:
    """How long it took. What does not come in time is left for the verdict to tell."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            sys.stderr.write(f"waited {seconds:g} s in vain for {what}\n")
            break
        time.sleep(0.2)
    return time.monotonic() - began


def _numbers(
    sent: Sent, done: Counter[str], stack: Stack, downstream: Downstream, sending_s: float, calm_s: float
) -> dict[str, str]:
    cuts = quantiles(sent.seconds, n=100) if len(sent.seconds) > 2 else [0.0] * 99
    p50, p99, most = cuts[49] * 1000, cuts[98] * 1000, max(sent.seconds, default=0)
    failed = sum(sent.refused.values())
    return {
        "answered 200": f"{len(sent.answered)}: {_counts(sent.outcomes)}",
        "not answered 200": f"{failed}: {_counts(sent.refused)}; {sent.given_up} never tried again",
        "time to answer": f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.1f} s",
        "broken": _counts(done),
        "starts": _counts(Counter(stack.starts)),
        "sending took": f"{sending_s:.0f} s; all was dealt with {calm_s:.0f} s later",
        "downstream": f"{sum(downstream.seen.values())} taken, {downstream.failed} answered with 500",
    }


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.most_common()) or "none"


def _report(head: str, planned: int, numbers: dict[str, str], verdict: Verdict) -> str:
    lines = ["make chaos: one machine", head, "", f"{'callbacks':<20}{planned}, duplicates included"]
    lines += [f"{name:<20}{value}" for name, value in numbers.items()]
    lines += [
        f"{'kept':<20}{verdict.jobs} jobs, {verdict.entries} entries, {verdict.events} events of an end",
        f"{'more than once':<20}{verdict.runs_again} handler runs, {verdict.forwarded_again} deliveries",
        "",
    ]
    for what in ("missing", "wrong_state", "not_handled", "not_forwarded", "strange"):
        found: list[str] = getattr(verdict, what)
        lines.append(f"{what.replace('_', ' '):<20}{len(found)}")
        lines += [f"    {each}" for each in found[:10]]
    lines += ["", f"LOST: {verdict.lost}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
