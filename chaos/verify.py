"""After the storm: is everything there that was answered with 200?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.ci.report import rank
from app.redis.scripts import texts
from app.store import Store
from chaos.plan import Message


@dataclass
class Verdict:
    """What is missing, each in words; and some numbers for the report."""

    missing: list[str] = field(default_factory=list)
    wrong_state: list[str] = field(default_factory=list)
    not_handled: list[str] = field(default_factory=list)
    not_forwarded: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    jobs: int = 0
    entries: int = 0
    events: int = 0
    runs_again: int = 0
    forwarded_again: int = 0

    @property
    def lost(self) -> int:
        return sum(
            map(len, (self.missing, self.wrong_state, self.not_handled, self.not_forwarded, self.strange))
        )


def verify(store: Store, answered: Sequence[Message], notes: Path, forwarded: Counter[str]) -> Verdict:
    """Compare what was answered with what is kept, was handled and was forwarded."""
    verdict = Verdict()
    by_job: dict[str, list[Message]] = defaultdict(list)
    for message in answered:
        by_job[message.job_id].append(message)
    handled = Counter(line.split()[0] for line in notes.read_text().splitlines())
    ended: set[str] = set()
    for job_id, told in by_job.items():
        ended |= _check_job(store, verdict, job_id, told)
    # What was stored and whose answer was lost on its way counts as well, and so does what it sets off.
    for job_id in set(texts(store.db.client.zrange(store.db.key("jobs"), 0, -1))) - set(by_job):
        ended |= _ended(store.jobs.history(job_id)[0])
    verdict.jobs, verdict.events = len(by_job), len(ended)
    verdict.not_handled = sorted(ended - set(handled))
    verdict.not_forwarded = sorted(ended - set(forwarded))
    verdict.strange = sorted((set(handled) | set(forwarded)) - ended)
    verdict.runs_again = sum(handled.values()) - len(handled)
    verdict.forwarded_again = sum(forwarded.values()) - len(forwarded)
    return verdict


def _check_job(store: Store, verdict: Verdict, job_id: str, told: list[Message]) -> set[str]:
    """Returns the events of the job that say it has ended."""
    entries, count = store.jobs.history(job_id)
    verdict.entries += count
    kept = Counter(store.jobs.raw_bytes(job_id, entry["entry"]) for entry in entries)
    for message, times in Counter(told).items():
        if kept[message.body] < times:
            found = f"answered {times} times, {kept[message.body]} in its history"
            verdict.missing.append(f"callback {message.number} of {job_id}: {found}")
    job = store.jobs.get(job_id)
    furthest = max(told, key=lambda message: rank(message.state)).state
    if job is None or rank(job.state) < rank(furthest):
        verdict.wrong_state.append(f"{job_id}: {job.state if job else 'unknown'}, and was told {furthest}")
    return _ended(entries)


def _ended(entries: list[dict[str, Any]]) -> set[str]:
    return {entry["event_id"] for entry in entries if entry.get("event_id") and entry["state"] == "Success"}
