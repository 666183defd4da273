"""What accept.lua is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.json import encode
from msgspec.structs import asdict

from app.ci.report import STATES, Detail, Report, digest_of, rank
from app.core.clock import now_ms, rfc3339, to_ms
from app.core.logs import origin_here
from app.store.accept.identity import event_id, seen
from app.store.accept.news import Limits, News
from app.store.accept.snapshot import Snapshot
from app.store.jobs import index
from app.store.jobs.body import body_id
from app.store.members import member_of
from app.store.packing.packing import pack
from app.store.schema.version import VERSION

_CLAIMS_MAX = 32
"""Jobs that callbacks may claim for one submission before CI has named its jobs; a request has at most six."""
_GATHER_MS = 2000
"""How long jobs whose outputs CI must confirm are collected: one question names up to 50."""
_CLAIM_MS = 5000
"""How long CI's answer to a submission may come after a callback of its job, before CI's list is searched."""


def arguments(prefix: str, limits: Limits, news: News, undone: bool, known: Sequence[Snapshot]) -> list[Any]:
    """The arguments of accept.lua: six for each job, after what applies to all.

    ``undone``: with what undoes the news if it is held. ``known``: each job as it is stored, where that is needed.
    """
    reports = [detail.report.to_json() for detail in news.details]
    header = _header(news, limits, undone, [digest_of(report) for report in reports])
    for item, each in zip(header["items"], known, strict=True):
        if each.version:
            item["known"] = each.version
    body = pack(news.body) if news.body else b""
    header["size"] = len(news.body) + sum(map(len, reports))
    given: list[Any] = [prefix, encode(header), body]
    for detail, report, each, item in zip(news.details, reports, known, header["items"], strict=True):
        given += [
            report,
            pack(report),
            detail.report.undecided().to_json() if undone else "",
            _entry(detail, news, header),
            each.report,
            bytes.fromhex(item["event_id"]) + member_of(detail.report.job_id),
        ]
    return given


def _header(news: News, limits: Limits, undone: bool, digests: Sequence[str]) -> dict[str, Any]:
    now = now_ms()
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
            | ({"confirm_in": _GATHER_MS} if n in news.unconfirmed else {})
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
        "ask_in": int(ask_after * 1000) if ask_after else None,
    }
    return {name: value for name, value in item.items() if value is not None}


def _entry(detail: Detail, news: News, header: dict[str, Any]) -> bytes:
    entry = {
        "kind": news.source,
        "at": rfc3339(news.received_ms) if news.received_ms else header["at"],
        "state": detail.report.state,
        "verification": news.verification,
        **(news.note or {}),
    }
    return pack(encode(entry))
