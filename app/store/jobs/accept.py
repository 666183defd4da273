"""Taking in what CI said: one atomic round trip for a whole body."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.json import encode
from redis.exceptions import RedisError

from app.ci.report import STATES, Detail, Report, digest_of, rank
from app.core.clock import now_ms, rfc3339, to_ms
from app.core.logs import origin_here
from app.core.logs.origin import Origin
from app.redis.durable import Durable, WriteResult
from app.redis.scripts import script
from app.store.database import Database
from app.store.jobs import index
from app.store.jobs.body import body_id
from app.store.jobs.snapshot import NOTHING, TRIES, Snapshot, snapshots
from app.store.members import member_of
from app.store.packing.packing import pack
from app.store.schema.version import VERSION, mismatch

log = logging.getLogger(__name__)

Source = Literal["submit", "callback", "poll", "settle"]
Outcome = Literal["accepted", "duplicate", "stale"]


_CLAIMS_MAX = 32
"""Jobs that callbacks may claim for one submission before CI has named its jobs; a request has at most six."""
_GATHER_MS = 2000
"""So long jobs whose outputs CI has to confirm gather: one question names many."""
_CLAIM_MS = 5000
"""How long CI's answer may still come after its callback, before the job is looked for."""
_FULL = {
    "outbox": "the outbox is full (OUTBOX_MAX): is the relay running?",
    "jobs": "there are as many jobs as JOBS_MAX allows",
}


class Unavailable(Exception):
    """Redis cannot keep anything now; nothing was stored."""


class NotDurable(Exception):
    """Stored with these ``outcomes``, but below the configured ``DURABILITY``."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("stored, but below the configured DURABILITY")
        self.outcomes = outcomes


class NotBelieved(Exception):
    """The store knows better: ``reason`` is ``revoked_token``, ``binding_mismatch``, or ``job_has_moved`` since a
    person decided about it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OverLimit(Exception):
    """The URL has used up its ``CALLBACK_LIMITS``; nothing was stored. It may send again in ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"over its limits for {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that the script keeps: entries of one job's history, entries in the outbox, jobs in all, callbacks that
    may run one job's handlers; and for how many seconds the exact bytes are kept, and counters of unknown URLs."""

    history: int = 200
    outbox: int = 100_000
    jobs: int = 5_000_000
    runs: int = 20
    raw_s: float = 7 * 86400
    unknown_s: float = 30 * 86400


class UrlLimit(Struct, frozen=True, omit_defaults=True):
    """What one callback URL may cost: callbacks a minute, events that run one job's handlers, bytes in all that it may
    have kept, bytes a minute."""

    per_minute: int
    runs: int
    bytes: int | None = None
    bytes_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """``seen_version`` is the job's version that was decided about: another one is refused. ``keeps_known``: what was
    known stays, and the news repeats it. ``raw`` is where the bytes of the news are, and ``refuted`` names what was
    decided against: a digest, and a state with its end."""

    seen_version: str
    keeps_known: bool
    raw: str | None
    refuted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What came in, how, and on whose word.

    ``hold`` keeps the state until CI itself confirms; ``ask_after`` (seconds) is when a job that has not ended is
    asked about; ``note`` goes into the history entry as it is. ``binds``: CI itself has named these as the jobs of
    ``submission``. ``asked_ms`` is when the question was put that a poll answers: of two answers the later one counts.
    ``limit`` bounds what the URL may cost; ``url`` describes one without a submission, for the list of URLs; ``place``
    is the bucket and region that its token names; ``settled`` is how a person decided a doubt;
    ``unconfirmed`` are positions of details with outputs that only this callback names: CI is asked about them.
    ``quiet``: neither handlers nor endpoints run for it. ``origin``: the request that brought it.
    """

    details: Sequence[Detail]
    source: Source
    verification: str
    body: bytes = b""
    submission: str | None = None
    token: str | None = None
    bind: bool = True
    hold: bool = False
    ask_after: float | None = None
    received_ms: int | None = None
    note: dict[str, Any] | None = None
    binds: bool = False
    asked_ms: int | None = None
    limit: UrlLimit | None = None
    url: dict[str, str | int] | None = None
    place: tuple[str, str] | None = None
    settled: Settled | None = None
    unconfirmed: frozenset[int] = frozenset()
    quiet: bool = False
    origin: Origin | None = None


def as_body(details: Sequence[Detail]) -> bytes:
    """What CI answered about these jobs, in a form that can be read again like a callback."""
    return json.dumps({"JobsDetail": [detail.raw for detail in details]}, ensure_ascii=False).encode()


class Taken(NamedTuple):
    """The outcome of each detail, in order. ``new_at``: when they were stored (RFC 3339), if they are CI's answer to a
    submission and nothing was known of its jobs: all that is stored of them is in that answer."""

    outcomes: list[Outcome]
    new_at: str | None = None


class Acceptor:
    """The way in for callbacks, polls and the answers to our own submissions."""

    def __init__(self, db: Database, limits: Limits, durable: Durable) -> None:
        self._limits = limits
        self._durable = durable
        self._db = db
        self._prefix = db.prefix
        self._script = script(db.client, "record", "decide", "accept")

    def accept(self, news: News) -> list[Outcome]:
        """The outcomes of ``take``, which raises."""
        return self.take(news).outcomes

    def take(self, news: News) -> Taken:
        """Store the news, and say what became of it.

        Raises ``NotBelieved`` or ``Unavailable`` when nothing is changed, as far as we know: an answer that was lost
        on its way looks the same. Raises ``NotDurable`` when a callback is stored, and not safely enough.
        """
        try:
            kept = self._run(news)
            for _ in range(TRIES):
                if kept.answer[0] != b"uncertain":
                    break
                known = snapshots(self._db, [detail.report.job_id for detail in news.details])
                kept = self._run(news, undone=True, known=known)
        except RedisError as error:
            # An unexpected error stops callbacks just as an absent Redis does: they must not be lost.
            raise Unavailable(str(error)) from error
        taken = self._taken(kept.answer)
        if not kept.safe:
            if news.source == "callback":
                raise NotDurable(taken.outcomes)
            log.warning(
                "the jobs of submission %s are stored, but below the configured DURABILITY", news.submission
            )
        return taken

    def _run(self, news: News, undone: bool = False, known: Sequence[Snapshot] = ()) -> WriteResult:
        arguments = self._arguments(
            news, undone or _may_be_undone(news), known or [NOTHING] * len(news.details)
        )
        if news.source == "submit" or news.binds:
            return self._durable.strongest(self._script, arguments)
        if news.source == "poll":
            # CI can be asked again.
            return WriteResult(self._script(args=arguments), True)
        return self._durable.run(self._script, arguments)

    def _taken(self, answer: Any) -> Taken:
        verdict, *rest = (word.decode() for word in answer)
        if verdict == "refused":
            raise NotBelieved(rest[0])
        if verdict == "full":
            raise Unavailable(_FULL[rest[0]])
        if verdict == "limited":
            raise OverLimit(int(rest[0]))
        if verdict == "schema":
            raise Unavailable(mismatch(rest[0]))
        if verdict == "uncertain":
            raise Unavailable("the job changes faster than it can be read; nothing was stored")
        if verdict == "new":
            return Taken(rest[1:], rest[0])
        return Taken(rest)

    def _arguments(self, news: News, undone: bool, known: Sequence[Snapshot]) -> list[Any]:
        reports = [detail.report.to_json() for detail in news.details]
        header = self._header(news, undone, [digest_of(report) for report in reports])
        for item, each in zip(header["items"], known, strict=True):
            if each.version:
                item["known"] = each.version
        body = pack(news.body) if news.body else b""
        header["size"] = len(news.body) + sum(map(len, reports))
        arguments: list[Any] = [self._prefix, encode(header), body]
        for detail, report, each, item in zip(news.details, reports, known, header["items"], strict=True):
            arguments += [
                report,
                pack(report),
                detail.report.undecided().to_json() if undone else "",
                _entry(detail, news, header),
                each.report,
                bytes.fromhex(item["event_id"]) + member_of(detail.report.job_id),
            ]
        return arguments

    def _header(self, news: News, undone: bool, digests: Sequence[str]) -> dict[str, Any]:
        now, limits = now_ms(), self._limits
        header = {
            "schema": VERSION,
            "now": now,
            "at": rfc3339(now),
            "source": news.source,
            "verification": news.verification,
            "bind": news.bind,
            "hold": news.hold,
            "history_max": limits.history,
            "outbox_max": limits.outbox,
            "jobs_max": limits.jobs,
            "runs_max": limits.runs,
            "claims_max": _CLAIMS_MAX,
            "claim_ms": _CLAIM_MS,
            "unknown_ms": int(limits.unknown_s * 1000),
            "binds": news.binds or news.source == "submit",
            "asked": news.asked_ms or now,
            "items": [
                _item(detail.report, digests[n], n, now, news.ask_after, undone)
                | ({"confirm_at": now + _GATHER_MS} if n in news.unconfirmed else {})
                for n, detail in enumerate(news.details)
            ],
            "submission": news.submission,
            "token": news.token,
            "limit": news.limit,
            "url": news.url,
            "place": news.place,
            "quiet": news.quiet or None,
        }
        origin = news.origin or origin_here()
        header |= {"request": origin.request_id, "trace": origin.traceparent or None}
        if news.settled:
            header |= asdict(news.settled)
        if news.body:
            header |= {
                "body": body_id(news.body),
                "body_ms": int(limits.raw_s * 1000),
            }
        return {name: value for name, value in header.items() if value is not None}


def seen(state: str | None, ended: int | None, digest: str) -> tuple[str, ...]:
    """What a job's hash remembers a report by: its content, and its end. Short, as there are some for each job."""
    end = f"{state}@{ended}" if state and ended else None
    return (seen_as(digest), seen_as(end)) if end else (seen_as(digest),)


def seen_as(text: str) -> str:
    """72 bits: an attacker who cannot foresee a job's news finds no other content with the same ones."""
    return b64encode(blake2b(text.encode(), digest_size=9).digest(), b"-_").decode()


def event_id(job_id: str, digest: str) -> str:
    """The same news about a job has the same id, whichever way it comes in.

    32 hex digits and nothing of the job's own text: the id goes into signatures, addresses and keys.
    """
    return blake2b(f"{job_id} {digest}".encode(), digest_size=16).hexdigest()


def event_ids(news: News) -> tuple[str, ...]:
    """The ids of the events that its details make, or would make if they were news."""
    reports = [detail.report for detail in news.details]
    return tuple(event_id(report.job_id, digest_of(report.to_json())) for report in reports)


def _item(
    report: Report, digest: str, position: int, now: int, ask_after: float | None, undone: bool
) -> dict[str, Any]:
    ended = to_ms(report.ended_at)
    held = report.undecided() if undone else None
    item: dict[str, Any] = {
        "id": report.job_id,
        "rank": rank(report.state),
        "state": report.state,
        "is_word": report.state in STATES,
        "tag": report.tag,
        "ended": ended,
        "digest": digest,
        "event_id": event_id(report.job_id, digest),
        "created": to_ms(report.created_at) or now,
        "position": position,
        "seen": seen(report.state, ended, digest),
        "idx": index.places(report),
        "words": index.words(report),
        "held_idx": index.places(held) if held else None,
        "held_words": index.words(held) if held else None,
        "ask_at": now + int(ask_after * 1000) if ask_after else None,
    }
    return {name: value for name, value in item.items() if value is not None}


_SOON_MS = 300_000


def _may_be_undone(news: News) -> bool:
    """It waits for CI's confirmation, a token claims it for a submission whose jobs CI may not have named yet, or it is
    likely to be a doubt. Where this is wrong, the script says that it needs the reports of jobs of which nothing is
    certain."""
    if news.hold or (news.source == "callback" and news.submission is not None):
        return True
    return any(_is_doubtful(detail.report) for detail in news.details)


def _is_doubtful(report: Report) -> bool:
    is_word = report.state is None or report.state in STATES
    return not is_word or (to_ms(report.ended_at) or 0) > now_ms() + _SOON_MS


def _entry(detail: Detail, news: News, header: dict[str, Any]) -> bytes:
    entry = {
        "kind": news.source,
        "at": rfc3339(news.received_ms) if news.received_ms else header["at"],
        "state": detail.report.state,
        "verification": news.verification,
        **(news.note or {}),
    }
    return pack(encode(entry))
