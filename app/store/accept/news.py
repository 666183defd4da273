"""What the store is given to accept: the reports of one body, how they reached us, and the bounds that apply."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from app.ci.report import Detail
from app.core.logs.origin import Origin

Source = Literal["submit", "callback", "poll", "settle"]


class Limits(Struct, frozen=True):
    """Bounds that accept.lua holds: entries of one job's history, entries in the outbox, jobs in all, callbacks that
    may run one job's handlers; and how many seconds exact bytes are kept, and the counters of unknown URLs."""

    history: int = 200
    outbox: int = 100_000
    jobs: int = 5_000_000
    runs: int = 20
    raw_s: float = 7 * 86400
    unknown_s: float = 30 * 86400


class UrlLimit(Struct, frozen=True, omit_defaults=True):
    """What one callback URL may cost: callbacks a minute, events that run one job's handlers, stored bytes in all,
    bytes a minute."""

    per_minute: int
    runs: int
    bytes: int | None = None
    bytes_per_minute: int | None = None


class Settled(Struct, frozen=True):
    """``seen_version`` is the version of the job that the person saw; if the job has another one, the decision is
    refused. ``keeps_known``: what was known stays, and the news repeats it. ``raw`` is where the bytes of the news are.
    ``refuted`` names the report that was rejected: its digest, and its state with its end."""

    seen_version: str
    keeps_known: bool
    raw: str | None
    refuted: tuple[str, ...] = ()


class News(Struct, frozen=True):
    """Reports, and how they reached us.

    ``hold`` delays the change of state until CI itself confirms it. ``ask_after``: CI is asked about a job that has not
    ended after that many seconds. ``note`` is copied into the history entry. ``binds``: CI itself has named these as
    the jobs of ``submission``. ``asked_ms``: when the question was sent that a poll answers; of two answers the one to
    the later question counts. ``limit`` bounds what the URL may cost. ``url`` describes a URL without a submission, for
    the list of URLs. ``place``: the bucket and region that its token names. ``settled``: how a person settled a doubt.
    ``unconfirmed``: positions of details with outputs that only this callback names; CI is asked about them.
    ``quiet``: no handler and no endpoint runs for it. ``origin``: the request that brought it.
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
    """CI's answer about these jobs as a body that can be parsed like a callback."""
    return json.dumps({"JobsDetail": [detail.raw for detail in details]}, ensure_ascii=False).encode()
