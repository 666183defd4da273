"""Actions of people, by the API, a page or a command: each runs inside ``acting``, which writes the audit list.

Every route and command that changes something is one (``tests/audit`` walks them). The entry is written after the
action, also if it failed; a refused action leaves none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g, has_request_context, request
from msgspec import Struct, field
from redis import RedisError

from app.provider import ProviderError
from app.store.audit.audit_list import JOBS_MAX, AuditEntry, Value, Via
from app.web.problems import PROBLEMS, Problem
from app.web.services import services

log = logging.getLogger(__name__)

LOCAL = "local"
"""Who runs a command: it needs no API key."""


class Act(Struct):
    """One action, while it is done."""

    action: str
    job_ids: list[str] = field(default_factory=list)
    on: dict[str, Value] = field(default_factory=dict)
    results: dict[str, Value] = field(default_factory=dict)

    def did(self, **results: Value | None) -> None:
        """Record results: numbers are added up, ``None`` is left out."""
        for name, value in results.items():
            if value is not None:
                before = self.results.get(name, 0)
                self.results[name] = (
                    before + value if isinstance(value, int) and isinstance(before, int) else value
                )


@contextmanager
def acting(action: str, *job_ids: str, **on: Value | None) -> Iterator[Act]:
    """The block is one entry of the audit list. A block inside another is part of it: a page that does what the API
    does for each of many jobs is one action."""
    outer: Act | None = g.get("act")
    current = outer or Act(action)
    current.job_ids += (each for each in job_ids[:JOBS_MAX] if each not in current.job_ids)
    current.on = {name: value for name, value in on.items() if value is not None} | current.on
    if outer:
        yield outer
        return
    g.act = current
    try:
        yield current
    except BaseException as error:
        if not _is_refusal(error) or current.results:
            current.did(error=None if isinstance(error, SystemExit) else _word(error))
            _write(current)
        raise
    else:
        _write(current)
    finally:
        g.pop("act")


def _is_refusal(error: BaseException) -> bool:
    """Whether nothing was done. Refusals are not listed: a caller who repeats them must not push out other entries."""
    return isinstance(error, Problem) and PROBLEMS[error.reason][0] < 500


def _word(error: BaseException) -> str:
    """The error as one word, without any text of a caller or of CI."""
    if isinstance(error, Problem):
        return error.reason
    return error.code if isinstance(error, ProviderError) else type(error).__name__


def _write(done: Act) -> None:
    origin = g.get("origin")
    entry = AuditEntry(
        by=g.api_key.name if "api_key" in g else LOCAL,
        via=_via(),
        action=done.action,
        job_ids=tuple(done.job_ids),
        on=done.on,
        did=done.results,
        request_id=origin.request_id if origin else None,
    )
    try:
        services().store.audit.add(entry)
    except RedisError as error:
        # Raising here would make the caller repeat what is done. If it failed, its own error is raised.
        if "error" not in done.results:
            log.error(
                "%s by %r is missing in the audit list: %s", entry.action, entry.by, type(error).__name__
            )


def _via() -> Via:
    if not has_request_context():
        return "command"
    return "page" if request.blueprint == "pages" else "api"
