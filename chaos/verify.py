"""The check at the end: is everything stored and processed that was answered with 200?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.ci.report import rank
from app.store import Store
from app.store.members import jobs_of
from chaos.plan import Message


@dataclass
class Verification:
    """Lists of what is missing, one sentence each, and counts for the report."""

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


def verify(store: Store, answered: Sequence[Message], notes: Path, forwarded: Counter[str]) -> Verification:
    """Compare the answered callbacks with what was stored, handled and forwarded."""
    verdict = Verification()
    by_job: dict[str, list[Message]] = defaultdict(list)
    for message in answered:
        by_job[message.job_id].append(message)
    handled = Counter(line.split()[0] for line in notes.read_text().splitlines())
    ended: set[str] = set()
    for job_id, messages in by_job.items():
        ended |= _check_job(store, verdict, job_id, messages)
    # A callback that was stored but whose answer was lost also makes an event, which runs handlers and deliveries.
    for job_id in set(jobs_of(store.db.client.zrange(store.db.key("jobs"), 0, -1))) - set(by_job):
        ended |= _ended(store.jobs.history(job_id)[0])
    verdict.jobs, verdict.events = len(by_job), len(ended)
    verdict.not_handled = sorted(ended - set(handled))
    verdict.not_forwarded = sorted(ended - set(forwarded))
    verdict.strange = sorted((set(handled) | set(forwarded)) - ended)
    verdict.runs_again = sum(handled.values()) - len(handled)
    verdict.forwarded_again = sum(forwarded.values()) - len(forwarded)
    return verdict


def _check_job(store: Store, verdict: Verification, job_id: str, messages: list[Message]) -> set[str]:
    """Ids of the events that report the end of the job."""
    entries, count = store.jobs.history(job_id)
    verdict.entries += count
    kept = Counter(store.jobs.raw_bytes(job_id, entry["entry"]) for entry in entries)
    for message, times in Counter(messages).items():
        if kept[message.body] < times:
            found = f"answered {times} times, {kept[message.body]} in its history"
            verdict.missing.append(f"callback {message.number} of {job_id}: {found}")
    job = store.jobs.get(job_id)
    furthest = max(messages, key=lambda message: rank(message.state)).state
    if job is None or rank(job.state) < rank(furthest):
        verdict.wrong_state.append(
            f"{job_id}: {job.state if job else 'unknown'}, but a callback reported {furthest}"
        )
    return _ended(entries)


def _ended(entries: list[dict[str, Any]]) -> set[str]:
    return {entry["event_id"] for entry in entries if entry.get("event_id") and entry["state"] == "Success"}
