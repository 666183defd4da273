"""The cost of requests before they are sent: how many paid jobs, and how much audio, if its length is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from app.ci.matching.asked import Asked
from app.ci.outgoing.request import VOICE_SEPARATE
from app.store import Job, Store
from app.store.reading.listing import Filter

_LOOKED_AT = 5
"""Earlier jobs on a file that are read for its length."""


class Cost(Struct, frozen=True):
    """``jobs`` paid jobs; the length of ``timed`` of them is known, ``seconds`` in all."""

    jobs: int = 0
    timed: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        jobs = f"{self.jobs} paid job{'' if self.jobs == 1 else 's'}"
        if not self.timed:
            return f"{jobs}; the length of the audio is not known"
        if self.timed == self.jobs:
            return f"{jobs}, {self.seconds / 60:.1f} minutes of audio"
        unknown = self.jobs - self.timed
        return f"{jobs}, {self.seconds / 60:.1f} minutes of audio in {self.timed} of them; {unknown} of unknown length"


class Lengths:
    """How long recordings are, as far as earlier jobs on the same file have shown. CI is not asked, and nothing is
    fetched from COS."""

    def __init__(self, store: Store) -> None:
        self._jobs = store.jobs
        self._known: dict[tuple[str, str], float | None] = {}

    def cost_of(self, requests: Iterable[Asked]) -> Cost:
        jobs, timed, seconds = 0, 0, 0.0
        for each in requests:
            count = len(each.operations)
            length = self._of(each.bucket, each.input_object) if each.input_object else None
            jobs += count
            timed += count if length is not None else 0
            seconds += count * (length or 0.0)
        return Cost(jobs, timed, seconds)

    def _of(self, bucket: str, key: str) -> float | None:
        if (bucket, key) not in self._known:
            self._known[bucket, key] = self._look_up(bucket, key)
        return self._known[bucket, key]

    def _look_up(self, bucket: str, key: str) -> float | None:
        # VoiceSeparate's results are as long as its input; those of other tags may be shorter.
        equal = (("input_object", key), ("bucket", bucket), ("state", "Success"), ("tag", VOICE_SEPARATE))
        for job in self._jobs.page(Filter(equal=equal), _LOOKED_AT).jobs:
            whole = self._jobs.get(job.job_id)
            if whole and (seconds := _seconds(whole)) is not None:
                return seconds
        return None


def _seconds(job: Job) -> float | None:
    node: Any = job.raw or {}
    for name in ("Operation", "MediaInfo", "Format", "Duration"):
        node = node.get(name) if isinstance(node, dict) else None
    try:
        found = float(node)
    except (TypeError, ValueError):
        return None
    return found if 0 < found < 1e7 else None
