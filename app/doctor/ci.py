"""CI and COS: may this account call them, and do the clocks agree? The calls are signed, and cost nothing."""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import RedisError

from app.doctor.finding import Finding
from app.provider import ProviderError, RequestRejected, clock_skew
from app.reconcile.places import our_buckets
from app.services import Services

_SKEW_S = 20
_BUCKETS = 20
_ELSEWHERE = frozenset({301, 307, 404})
"""Status codes of COS for a bucket that does not exist in that region."""


def account(services: Services) -> Iterator[Finding]:
    """List CI's queues: that works only with valid keys and a bucket that is bound to CI."""
    settings = services.settings
    for bucket, region in _ours(services):
        what = "CI" if bucket == settings.cos_bucket else f"CI {bucket}"
        yield from _bucket(services, what, bucket, region)


def _ours(services: Services) -> list[tuple[str, str]]:
    """The buckets to check, each with its region, the default bucket first; at most a few."""
    default, found = services.settings.cos_bucket, our_buckets(services.settings)
    return sorted(found.items(), key=lambda each: each[0] != default)[:_BUCKETS]


def _bucket(services: Services, what: str, bucket: str, region: str) -> Iterator[Finding]:
    where = "the emulator or proxy at CI_ENDPOINT" if services.settings.ci_endpoint else "Tencent"
    try:
        found = services.provider.queues(bucket, region)
    except ProviderError as error:
        message = f"{error.code}: {error.message}".rstrip(": ")
        asked = f" (request id {error.request_id})" if error.request_id else ""
        yield Finding(
            "fail", what, f"{where} reports {message}{asked} for {bucket} in {region}", error.advice
        )
        return
    yield Finding("ok", what, f"{where} answers for {bucket} in {region}")
    if not found:
        todo = "Switch the feature on for this bucket in the CI console: CI makes a queue then."
        yield Finding("warn", "CI queues", "no queue found", todo)
    for queue in found:
        if queue.state == "Paused":
            todo = "Make it active in the CI console: its jobs wait in the state Pause, and send no callback."
            yield Finding("warn", "CI queues", f"{queue.name} ({queue.id}) is paused", todo)


def clock(services: Services) -> Iterator[Finding]:
    settings = services.settings
    try:
        theirs = services.provider.server_time(settings.cos_bucket, settings.cos_region)
    except ProviderError:
        return
    if theirs is None:
        return
    ahead = (clock_skew.now() - theirs).total_seconds()
    todo = f"{clock_skew.SYNCHRONIZE}."
    if ahead > clock_skew.AHEAD_S or ahead < -clock_skew.BEHIND_S:
        yield Finding("fail", "clock", clock_skew.skew(ahead), todo)
    elif abs(ahead) > _SKEW_S:
        yield Finding("warn", "clock", clock_skew.skew(ahead), todo)
    else:
        yield Finding("ok", "clock", "agrees with CI's")


def region(services: Services) -> Iterator[Finding]:
    """Whether each bucket lives in the region that the settings name."""
    for bucket, configured in _ours(services):
        try:
            found = services.provider.bucket_region(bucket, configured)
        except RequestRejected as error:
            if error.status in _ELSEWHERE:
                yield Finding(
                    "fail", f"region of {bucket}", f"COS has no such bucket in {configured}", error.advice
                )
            continue  # Other errors are about the account, which needs no right to HEAD a bucket.
        except ProviderError:
            continue  # account reports it.
        if found and found != configured:
            setting = "COS_REGION" if bucket == services.settings.cos_bucket else "COS_BUCKETS"
            todo = f"Set its region to {found} in {setting}."
            yield Finding(
                "fail", f"region of {bucket}", f"it is in {found}, the settings say {configured}", todo
            )
        else:
            yield Finding("ok", f"region of {bucket}", configured)


def objects(services: Services) -> Iterator[Finding]:
    """Whether results may be read: HEAD of an object that need not exist."""
    settings = services.settings
    try:
        services.provider.head_object(settings.cos_bucket, settings.cos_region, "flask-doctor/probe")
    except RequestRejected as error:
        message = f"COS reports {error.code} for {settings.cos_bucket}"
        todo = "Give the account cos:HeadObject and cos:GetObject: without them there are no presigned links."
        todo = error.advice if "clock is" in error.advice else todo
        yield Finding("warn", "COS", message, todo)
    except ProviderError as error:
        yield Finding("warn", "COS", f"did not answer: {error.code}", error.advice)
    else:
        yield Finding("ok", "COS", "results can be read")


def strange_buckets(services: Services) -> Iterator[Finding]:
    """Buckets that only callbacks have named: CI is not asked about their jobs."""
    try:
        found = services.store.due.strange()
    except RedisError:
        return  # redis.reachable reports it.
    if not found:
        return
    named = ", ".join(ascii(each)[1:-1] for each in found[:5]) + (", …" if len(found) > 5 else "")
    todo = "Add those that are yours to COS_BUCKETS: CI is asked about their jobs then. Ignore the others."
    yield Finding("warn", "buckets", f"callbacks name buckets that are not configured: {named}", todo)
