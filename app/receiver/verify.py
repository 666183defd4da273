"""The checks on a callback, in the order in which they are made. Each raises ``Problem`` or returns."""

from __future__ import annotations

from app.ci.report import Report
from app.core.tokens import BadToken, Binding, digest, object_digest, read
from app.receiver.address import Address, is_in
from app.settings import Settings
from app.web.problems import Problem

JOB_EVENT = "TaskFinish"
"""CI's name for the end of any job. A JobsDetail that gives no Tag gets it as its tag, and says nothing by it."""

_ADVICE = "Create a new URL with `flask callback-url`, or submit the job again."


def check_token(token: str, settings: Settings) -> Binding:
    """Who the URL was made for. Without ``token`` among the checks, any last part of the URL will do."""
    try:
        return read(token, settings.callback_keys)
    except BadToken as error:
        if "token" not in settings.verify:
            return Binding()
        raise Problem("bad_token", f"{error} {_ADVICE}") from None


def check_revoked(fingerprint: str, settings: Settings) -> None:
    """What the settings revoke; what Redis knows is checked by the store, in the step in which it stores."""
    if fingerprint in settings.revoked_tokens:
        raise Problem("revoked_token", f"The token in the URL was revoked. {_ADVICE}")


def check_expiry(binding: Binding, settings: Settings) -> None:
    if "token" in settings.verify and binding.has_expired():
        raise Problem(
            "expired_token",
            "The token in the URL has expired; CI is asked about its job. "
            "For a queue, make a fresh URL with `flask callback-url`.",
        )


def check_address(address: Address | None, settings: Settings) -> None:
    if "ip" in settings.verify and (address is None or not is_in(address, settings.allowed_ips)):
        who = address or "A caller without an address"
        raise Problem(
            "ip_not_allowed",
            f"{who} is not in ALLOWED_IPS. If a proxy forwards the callbacks, add it to TRUSTED_PROXIES.",
        )


def check_binding(report: Report, binding: Binding, settings: Settings) -> None:
    """What is absent on either side never contradicts."""
    if "binding" not in settings.verify:
        return
    said = report.input
    for what, bound, claim in (
        ("bucket", _one(binding.bucket), said and said.bucket),
        ("region", _one(binding.region), said and said.region),
        ("tag", binding.tags, None if report.tag == JOB_EVENT else report.tag),
        ("input object", binding.objects, said and said.object and object_digest(said.object)),
        ("user data", binding.user_data, report.user_data and digest(report.user_data)),
    ):
        if bound and claim and claim not in bound:
            raise Problem("binding_mismatch", f"The {what} does not match the binding of this URL.")


def _one(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


def layers(settings: Settings) -> list[str]:
    """The checks that a callback has passed when it is stored, as its history entry names them."""
    return [check for check in ("token", "ip", "binding") if check in settings.verify]
