"""Prepares a request: checks its rules, and renders its XML with a callback URL. Nothing is sent or stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.ci.matching.asked import Asked, asked
from app.ci.outgoing.request import Defaults, SubmitRequest
from app.ci.outgoing.request_file import read_xml, with_callback
from app.ci.outgoing.request_xml import render
from app.ci.outgoing.rules.broken import BadRequest, BrokenRule
from app.ci.outgoing.rules.rules import check
from app.core.tokens import Binding
from app.settings import Settings
from app.store.submissions.submissions import new_submission_id
from app.submitter.callback_url import binding_of, callback_url, unreachable_warnings, valid_until


class Draft(Struct, frozen=True):
    """A request that is ready to be sent: its XML, what we store of it (``asked``), and warnings.

    ``expires``: when its callback URL expires, in seconds since 1970. ``deadline``: seconds without news after which it
    is overdue, if the request names them.
    """

    submission: str
    xml: bytes
    asked: Asked
    callback: str | None
    expires: int
    warnings: tuple[BrokenRule, ...]
    labels: dict[str, str]
    deadline: float | None


def defaults(settings: Settings) -> Defaults:
    """What a request that leaves its bucket, region or format open gets."""
    return Defaults(
        bucket=settings.cos_bucket, region=settings.cos_region, callback_format=settings.callback_format
    )


def draft(
    settings: Settings,
    request: SubmitRequest,
    submission: str | None = None,
    broken: Sequence[BrokenRule] | None = None,
) -> Draft:
    """Raises ``BadRequest`` with every broken rule. ``broken``: those that ``rules.examine`` found, if it was asked."""
    facts, warnings = _checked(settings, request, broken)
    submission, expires = submission or new_submission_id(), valid_until(settings)
    callback = _callback(settings, binding_of(submission, facts, expires), facts, request.callback)
    xml = render(request, callback, defaults(settings))
    return _made(submission, xml, _as_sent(settings, facts), callback, expires, warnings, request)


def draft_file(
    settings: Settings, xml: bytes, allow: Iterable[str] = (), ours: Mapping[str, Any] | None = None
) -> Draft:
    """The same for finished XML, which is changed only to add our CallBack if it has none. ``ours`` are ``labels`` and
    ``deadline``, which no XML holds. Raises ``BadRequest``."""
    request = read_xml(xml, allow, ours or {})
    facts, warnings = _checked(settings, request)
    submission, expires = new_submission_id(), valid_until(settings)
    callback = _callback(settings, binding_of(submission, facts, expires), facts, request.callback)
    if facts.callback == "own":
        xml = with_callback(xml, callback, settings.callback_format)
    elif facts.callback == "no":
        xml = with_callback(xml, "no")  # CI accepts it in lower case only
    return _made(submission, xml, _as_sent(settings, facts), callback, expires, warnings, request)


def _made(
    submission: str,
    xml: bytes,
    facts: Asked,
    callback: str | None,
    expires: int,
    warnings: tuple[BrokenRule, ...],
    request: SubmitRequest,
) -> Draft:
    labels = dict(request.labels)
    return Draft(submission, xml, facts, callback, expires, warnings, labels, request.deadline)


def _checked(
    settings: Settings, request: SubmitRequest, broken: Sequence[BrokenRule] | None = None
) -> tuple[Asked, tuple[BrokenRule, ...]]:
    broken = check(request, defaults(settings)) if broken is None else broken
    if any(each.severity == "error" for each in broken):
        raise BadRequest(broken)
    facts = asked(request, defaults(settings))
    return facts, (*broken, *(unreachable_warnings(settings) if facts.callback == "own" else ()))


def _callback(settings: Settings, binding: Binding, facts: Asked, chosen: str | None) -> str | None:
    """The CallBack value: our own URL, the caller's choice, or ``no`` if CI cannot reach us."""
    if facts.callback != "own":
        return chosen
    if settings.public_url is None:
        return "no"
    return callback_url(settings, binding)


def _as_sent(settings: Settings, facts: Asked) -> Asked:
    unreachable = facts.callback == "own" and settings.public_url is None
    return replace(facts, callback="no") if unreachable else facts
