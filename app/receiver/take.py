"""What a body says, whether its token may say it, and keeping it: one way in for callbacks and for retried refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.ci.incoming.payload import Callback, Refused, parse
from app.ci.matching.bound import are_in
from app.core.pydantic_part import PydanticPart
from app.core.tokens import NO_BINDING, Binding
from app.receiver.incoming import Incoming
from app.receiver.keep import WHY, Kept, keep
from app.receiver.limits import limit_of
from app.receiver.verify import check_binding, layers
from app.settings import Settings
from app.store import UNAVAILABLE, News
from app.web import metrics
from app.web.problems import Problem
from app.web.services import Services


class Result(PydanticPart, frozen=True):
    """What became of one job of the body."""

    job_id: str
    outcome: Kept


def take(ours: Services, came: Incoming, note: Mapping[str, str] | None = None) -> list[Result]:
    """Take it in, or raise ``Problem``. ``note`` goes into the history entry of each job."""
    seen = understand(came, ours.settings)
    if seen.kind == "probe":
        _check_revoked(ours, came.token)
        metrics.PROBES.inc()
        return []
    outcomes = keep(ours, _news(came, seen, ours.settings, note or {}))
    return [
        Result(job_id=detail.report.job_id, outcome=outcome)
        for detail, outcome in zip(seen.details, outcomes, strict=True)
    ]


def understand(came: Incoming, settings: Settings) -> Callback:
    """What it says, and which jobs it means; or ``Problem``: it says nothing, or what its token may not say."""
    try:
        seen = parse(came.body)
    except Refused as error:
        raise Problem(error.reason, str(error)) from None
    came.job_ids = tuple(dict.fromkeys(detail.report.job_id for detail in seen.details))
    for detail in seen.details:
        check_binding(detail.report, came.binding, settings)
    return seen


def _news(came: Incoming, seen: Callback, settings: Settings, note: Mapping[str, str]) -> News:
    hold = "confirm" in settings.verify
    how: dict[str, Any] = {"verified": layers(settings), "format": seen.format, "token": came.token}
    return News(
        details=seen.details,
        source="callback",
        verification="unconfirmed" if hold else layers(settings)[0],
        body=came.body,
        submission=came.binding.submission,
        token=came.token,
        bind="binding" in settings.verify,
        hold=hold,
        ask_after=settings.deadline,
        note=how | dict(note),
        # A person takes in what was refused: that is no use of the URL.
        limit=None if note else limit_of(came.binding, settings),
        url=_url(came.binding),
        place=_place(came.binding, settings),
        unconfirmed=_unconfirmed(came.binding, seen, settings),
    )


def _unconfirmed(binding: Binding, seen: Callback, settings: Settings) -> frozenset[int]:
    """Ended jobs with outputs that no submission asked for, in buckets that are not trusted."""
    if binding.submission:
        return frozenset()  # Whether it asked for them is known where its record is.
    reports = [detail.report for detail in seen.details]
    return frozenset(
        n
        for n, report in enumerate(reports)
        if report.terminal and report.outputs and not are_in(report.outputs, settings.trust_outputs)
    )


def _url(binding: Binding) -> dict[str, str | int] | None:
    """What the list of URLs says of one without a submission."""
    if binding.submission or binding == NO_BINDING:
        return None
    facts = {
        "name": binding.name,
        "tags": ",".join(binding.tags),
        "bucket": binding.bucket,
        "expires": binding.expires and binding.expires * 1000,
    }
    return {name: value for name, value in facts.items() if value}


def _place(binding: Binding, settings: Settings) -> tuple[str, str] | None:
    """Where the token says that its jobs are: whom to ask about them."""
    return (binding.bucket, binding.region or settings.cos_region) if binding.bucket else None


def _check_revoked(ours: Services, token: str) -> None:
    """For what is not stored; else the store checks it, in the same step in which it stores."""
    try:
        revoked = ours.store.refusals.is_revoked(token)
    except UNAVAILABLE:
        return
    if revoked:
        raise Problem("revoked_token", WHY["revoked_token"])
