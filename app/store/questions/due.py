"""The schedule of questions to CI: about which jobs, when, and how many a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from app.core.backoff import doubled
from app.core.clock import now_ms, rfc3339, to_ms
from app.redis.scripts import decoded, decoded_all, script
from app.store.accept.snapshot import TRIES, snapshots
from app.store.database import Database
from app.store.packing.packing import pack
from app.store.reading.job import Job

FIRST_QUESTION_S = 5.0
"""How soon CI is first asked about a job whose callback goes elsewhere."""
_SLOWEST_S = 60.0
_SLOW_MEMORY_S = 300
"""Throttling again within this time doubles the pause; after it the pause starts from the shortest."""
QUESTIONS_PER_S = 10
"""Of all processes together. One question names up to 50 jobs."""
_STRANGE_MAX, _STRANGE_MS = 100, 7 * 86_400_000
_FIELDS = ("asked", "asked_since", "doubt", "place", "source")

Unasked = Literal["not_askable", "unknown_to_ci"]
"""Why CI does not confirm a job's outputs."""


class Question(Struct, frozen=True):
    """An open question about a job: CI was asked ``asked`` times in a row, first at ``since`` (ms), and the job has
    not ended; when its doubt began (ms); and the bucket and region that its token or CI's own answer named.
    ``from_ci``: its record is CI's own answer."""

    asked: int
    since: int | None
    doubt_since: int | None
    place: tuple[str, str | None] | None
    from_ci: bool


class Due:
    """The schedule. A question that is taken is put off in the same step: it is due again if the caller dies."""

    def __init__(self, db: Database, history_max: int) -> None:
        self._db = db
        self._history_max = history_max
        self._redis = db.client
        self._key = db.key("due")
        self._slow, self._slow_times = db.key("slow"), db.key("slow_times")
        self._take, self._turn, self._outputs, self._due_in, self._behind = (
            script(db.client, name) for name in ("take", "turn", "ask_outputs", "due_in", "backlog")
        )
        self._postpone, self._asked, self._unasked, self._unknown = (
            script(db.client, "record", name) for name in ("postpone", "asked", "unasked", "unknown")
        )
        self._confirmed, self._overdue = (
            script(db.client, "record", "event", name) for name in ("outputs_confirmed", "overdue")
        )

    def take(self, count: int, put_off_s: float) -> list[str]:
        """Up to ``count`` jobs that are due; each is taken by one caller only."""
        return decoded_all(self._take(keys=[self._key], args=[count, int(put_off_s * 1000)]))

    def turn(self, longest_s: float) -> float | None:
        """Reserve the next moment at which CI may be asked. Returns the seconds until then; ``None``, and nothing is
        reserved, if that is more than ``longest_s``."""
        spacing = 1000 // QUESTIONS_PER_S
        wait = int(self._turn(keys=[self._db.key("questions")], args=[spacing, int(longest_s * 1000)]))
        return None if wait < 0 else wait / 1000

    def ask(self, job_id: str, in_s: float = 0.0) -> None:
        """Ask about the job no later than ``in_s`` seconds from now."""
        self._due_in(keys=[self._key], args=[job_id, int(in_s * 1000), "LT"])

    def ask_outputs(self, job_id: str, digest: str, in_s: float) -> Literal["asked", "confirmed", "gone"]:
        """Schedule a question whether CI wrote the outputs of that report, unless CI has answered or the job has
        changed."""
        arguments: list[Any] = [self._db.prefix, job_id, digest, int(in_s * 1000)]
        answer = int(self._outputs(args=arguments))
        return "asked" if answer == 0 else "confirmed" if answer == 1 else "gone"

    def outputs_confirmed(self, job_id: str, event_id: str, announced: bool) -> None:
        """CI has answered. Make an event for outputs that waited for that, unless the answer itself made one."""
        for _ in range(TRIES):
            (known,) = snapshots(self._db, [job_id])
            now = now_ms()
            arguments: list[Any] = [self._db.prefix, job_id, event_id, rfc3339(now)]
            arguments += ["1" if announced else "", known.version or "", known.report, now]
            if int(self._confirmed(args=arguments)) >= 0:
                return

    def announce_overdue(self, job: Job) -> bool:
        """Make the event ``overdue``; false if there is one for this deadline, or the job has changed."""
        if not (job.submission and job.submission.overdue and job.submission.deadline):
            return False
        details = {"deadline": job.submission.deadline, "submission": job.submission.id}
        arguments: list[Any] = [self._db.prefix, job.job_id, job.submission.deadline, job.version]
        arguments += [job.report.to_json(), rfc3339(now_ms()), json.dumps(details)]
        return bool(self._overdue(args=arguments))

    def put_off(self, job_id: str, in_s: float) -> None:
        """Ask again in ``in_s`` seconds."""
        self._due_in(keys=[self._key], args=[job_id, int(in_s * 1000), "XX"])

    def questions(self, job_ids: Sequence[str]) -> list[Question]:
        """The open questions about these jobs, in order."""
        pipe = self._redis.pipeline(transaction=False)
        for each in job_ids:
            pipe.hmget(self._db.key("job", each), *_FIELDS)
        return [_question(*map(decoded, row)) for row in (pipe.execute() if job_ids else ())]

    def note_asked(self, job_ids: Sequence[str]) -> None:
        """Note that CI is asked about these jobs now; the record of a job in doubt shows it."""
        self._asked(args=[self._db.prefix, rfc3339(now_ms()), *job_ids])

    def note_unknown(self, job_id: str, by: str) -> None:
        """Note in the job's history that CI was asked on behalf of a person and does not know the job."""
        entry = {"kind": "poll", "at": rfc3339(now_ms()), "outcome": "unknown", "by": by}
        line = pack(json.dumps(entry | {"detail": "CI does not know this job."}).encode())
        self._unknown(args=[self._db.prefix, job_id, self._history_max, line])

    def note_place(self, job_ids: Sequence[str], place: tuple[str, str]) -> None:
        """Note that CI knows these jobs at that bucket and region."""
        pipe = self._redis.pipeline(transaction=False)
        for each in job_ids:
            pipe.hset(self._db.key("job", each), "place", json.dumps(place))
        pipe.execute()

    def asked(self, job_id: str) -> int:
        """How many questions in a row found that the job has not ended."""
        return int(decoded(self._redis.hget(self._db.key("job", job_id), "asked")) or 0)

    def count(self, job_id: str, deadline_s: float) -> None:
        """CI answered that the job has not ended. Count the question, and set a new deadline: in as many seconds as its
        submission says, else in ``deadline_s``."""
        self._postpone(args=[self._db.prefix, job_id, "", int(deadline_s * 1000)])

    def postpone(self, job_id: str, in_s: float) -> None:
        """A question got no answer. Count it, and ask again in ``in_s`` seconds."""
        self._postpone(args=[self._db.prefix, job_id, int(in_s * 1000), ""])

    def settled(self, job_id: str) -> None:
        """The job has ended: remove the question."""
        self._redis.hdel(self._db.key("job", job_id), "asked", "asked_since")

    def end(self, job_id: str, why: Unasked | None = None) -> None:
        """Stop asking about the job; a doubt stays. ``why``: the reason for which CI cannot confirm its outputs."""
        job = self._db.key("job", job_id)
        pipe = self._redis.pipeline()
        pipe.zrem(self._key, job_id)
        pipe.hdel(job, "asked", "asked_since", "question", "outputs_asked")
        pipe.execute()
        if why:
            self._unasked(args=[self._db.prefix, job_id, why])

    def note_strange(self, bucket: str) -> None:
        """Note a bucket that a callback named and that we do not know. The newest hundred are kept for a week."""
        key, now = self._db.key("strange_buckets"), now_ms()
        pipe = self._redis.pipeline()
        pipe.zadd(key, {bucket[:100]: now})
        pipe.zremrangebyscore(key, "-inf", now - _STRANGE_MS)
        pipe.zremrangebyrank(key, 0, -_STRANGE_MAX - 1)
        pipe.execute()

    def strange(self) -> list[str]:
        """Buckets that callbacks named within a week and that we do not know, newest first."""
        return decoded_all(
            self._redis.zrange(
                self._db.key("strange_buckets"), "+inf", now_ms() - _STRANGE_MS, desc=True, byscore=True
            )
        )

    def slow_down(self, wish_s: float | None = None) -> float:
        """CI throttles us: send no question for ``wish_s`` seconds, or by default for longer each time. Returns how
        long."""
        times = int(self._redis.incr(self._slow_times))
        seconds = wish_s or doubled(times, 2.0, _SLOWEST_S)
        pipe = self._redis.pipeline()
        pipe.expire(self._slow_times, _SLOW_MEMORY_S)
        pipe.set(self._slow, 1, px=int(seconds * 1000))
        pipe.execute()
        return seconds

    def held_s(self) -> float:
        """Seconds until questions are sent again; 0 if they are not held."""
        return max(0.0, int(self._redis.pttl(self._slow)) / 1000)

    def size(self) -> int:
        return int(self._redis.zcard(self._key))

    def late(self, by_s: float) -> int:
        """How many jobs should have been asked about that many seconds ago, and were not."""
        return int(self._behind(keys=[self._key], args=[int(by_s * 1000)])[0])


def _question(
    asked: str | None, since: str | None, doubt: str | None, place: str | None, source: str | None
) -> Question:
    # Earlier releases kept a mere 1 in `doubt`.
    doubted = json.loads(doubt) if doubt and doubt.startswith("{") else None
    bucket, region = json.loads(place) if place else (None, None)
    return Question(
        asked=int(asked or 0),
        since=int(since) if since else None,
        doubt_since=to_ms(doubted["since"]) if doubted else None,
        place=(bucket, region) if bucket else None,
        from_ci=source == "poll",
    )
