"""Parse a body, check it against its token's binding, store it: the same steps for callbacks and retried refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.ci.incoming.payload import Callback, Refused, parse
from app.ci.matching.bound import are_in
from app.core import traces
from app.core.pydantic_part import PydanticPart
from app.core.tokens import NO_BINDING, Binding
from app.metrics import counted
from app.receiver.keep import REFUSED_BY_STORE, CallbackOutcome, keep
from app.receiver.limits import limit_of
from app.receiver.received import ReceivedCallback
from app.receiver.verify import check_binding, layers
from app.settings import Settings
from app.store import UNAVAILABLE, News
from app.store.accept.identity import event_ids
from app.web.problems import Problem
from app.web.services import WebServices


class Result(PydanticPart, frozen=True):
    """The outcome of one job of the body."""

    job_id: str
    outcome: CallbackOutcome


def take(web: WebServices, received: ReceivedCallback, note: Mapping[str, str] | None = None) -> list[Result]:
    """Check and store it. Raises ``Problem``. ``note`` is added to the history entry of each job."""
    seen = understand(received, web.settings)
    if seen.kind == "probe":
        _check_revoked(web, received.token)
        counted.PROBES.inc()
        return []
    news = _news(received, seen, web.settings, note or {})
    with traces.span("store") as step:
        outcomes = keep(web, news)
        received.event_ids = event_ids(news)
        step.tell({"event_ids": received.event_ids, "outcomes": outcomes})
    return [
        Result(job_id=detail.report.job_id, outcome=outcome)
        for detail, outcome in zip(seen.details, outcomes, strict=True)
    ]


def understand(received: ReceivedCallback, settings: Settings) -> Callback:
    """Parse the body, and note the ids of its jobs. Raises ``Problem`` if it is not a callback, or contradicts its
    token."""
    try:
        seen = parse(received.body)
    except Refused as error:
        raise Problem(error.reason, str(error)) from None
    received.job_ids = tuple(dict.fromkeys(detail.report.job_id for detail in seen.details))
    for detail in seen.details:
        check_binding(detail.report, received.binding, settings)
    return seen


def _news(received: ReceivedCallback, seen: Callback, settings: Settings, note: Mapping[str, str]) -> News:
    hold = "confirm" in settings.verify
    how: dict[str, Any] = {"verified": layers(settings), "format": seen.format, "token": received.token}
    return News(
        details=seen.details,
        source="callback",
        verification="unconfirmed" if hold else layers(settings)[0],
        body=received.body,
        submission=received.binding.submission,
        token=received.token,
        bind="binding" in settings.verify,
        hold=hold,
        ask_after=settings.deadline,
        note=how | dict(note),
        # With a note it is a person's retry, which does not count against the URL.
        limit=None if note else limit_of(received.binding, settings),
        url=_url(received.binding),
        place=_place(received.binding, settings),
        unconfirmed=_unconfirmed(received.binding, seen, settings),
        origin=received.origin,
    )


def _unconfirmed(binding: Binding, seen: Callback, settings: Settings) -> frozenset[int]:
    """Ended jobs with outputs that no submission asked for, in buckets that are not trusted."""
    if binding.submission:
        return frozenset()  # The submission's record says whether they were asked for, and is not read here.
    reports = [detail.report for detail in seen.details]
    return frozenset(
        n
        for n, report in enumerate(reports)
        if report.terminal and report.outputs and not are_in(report.outputs, settings.trust_outputs)
    )


def _url(binding: Binding) -> dict[str, str | int] | None:
    """The entry in the list of URLs; ``None`` for the URL of a submission."""
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
    """The bucket and region that the token names, at which CI is asked about its jobs."""
    return (binding.bucket, binding.region or settings.cos_region) if binding.bucket else None


def _check_revoked(web: WebServices, token: str) -> None:
    """For a probe, which is not stored; otherwise accept.lua checks it in the step that stores."""
    try:
        revoked = web.store.refusals.is_revoked(token)
    except UNAVAILABLE:
        return
    if revoked:
        raise Problem("revoked_token", REFUSED_BY_STORE["revoked_token"])
