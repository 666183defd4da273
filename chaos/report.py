"""The report: what was sent and broken, the answers, and what is missing."""

from __future__ import annotations

from collections import Counter
from statistics import quantiles

from chaos.downstream import CountingEndpoint
from chaos.sender import Sent
from chaos.verify import Verification


def counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.most_common()) or "none"


def answers(sent: Sent) -> dict[str, str]:
    """The lines about what was sent and answered."""
    cuts = quantiles(sent.seconds, n=100) if len(sent.seconds) > 2 else [0.0] * 99
    p50, p99, most = cuts[49] * 1000, cuts[98] * 1000, max(sent.seconds, default=0)
    failed = sum(sent.refused.values())
    return {
        "answered 200": f"{len(sent.answers)}: {counts(sent.outcomes)}",
        "not answered 200": f"{failed}: {counts(sent.refused)}; {sent.given_up} never retried",
        "time to answer": f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {most:.1f} s",
    }


def took(sending_s: float, calm_s: float, downstream: CountingEndpoint) -> dict[str, str]:
    """The lines about the time after sending."""
    return {
        "sending took": f"{sending_s:.0f} s; all queues were empty {calm_s:.0f} s later",
        "downstream": f"{sum(downstream.seen.values())} accepted, {downstream.failed} answered with 500",
    }


def render_page(title: str, head: str, planned: int, numbers: dict[str, str], verdict: Verification) -> str:
    lines = [f"make chaos: {title}", head, "", f"{'callbacks':<24}{planned}, duplicates included"]
    lines += [f"{name:<24}{value}" for name, value in numbers.items()]
    lines += [
        f"{'kept':<24}{verdict.jobs} jobs, {verdict.entries} entries, {verdict.events} events of an end",
        f"{'more than once':<24}{verdict.runs_again} handler runs, {verdict.forwarded_again} deliveries",
        "",
    ]
    for what in ("missing", "wrong_state", "not_handled", "not_forwarded", "strange"):
        found: list[str] = getattr(verdict, what)
        lines.append(f"{what.replace('_', ' '):<24}{len(found)}")
        lines += [f"    {each}" for each in found[:10]]
    lines += ["", f"LOST: {verdict.lost}", ""]
    return "\n".join(lines)
