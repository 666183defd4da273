"""The checks on a callback, in the order in which they are made. Each raises ``Problem`` or returns."""

from __future__ import annotations

from collections.abc import Callable

from app.ci.incoming.reports import JOB_EVENT
from app.ci.report import Input, Report
from app.core.network.networks import Address
from app.core.tokens import NO_BINDING, BadToken, Binding, digest, object_digest, read_token
from app.receiver.address import is_in
from app.settings import Settings
from app.web.problems import Problem

_NO_INPUT = Input()
_ADVICE = "Create a new URL with `flask callback-url`, or submit the job again."


def check_token(token: str, settings: Settings) -> Binding:
    """The binding of the token. If VERIFY does not include ``token``, any text is accepted as one."""
    try:
        return read_token(token, settings.callback_keys)
    except BadToken as error:
        if "token" not in settings.verify:
            return NO_BINDING
        raise Problem("bad_token", f"{error} {_ADVICE}") from None


def check_revoked(fingerprint: str, settings: Settings) -> None:
    """Refuse tokens of REVOKED_TOKENS. Tokens revoked in Redis are checked by accept.lua, in the step that stores."""
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
    """The caller must be in ALLOWED_IPS; checked only if VERIFY includes ``ip``."""
    if address is None or not is_in(address, settings.allowed_ips):
        who = address or "A caller without an address"
        raise Problem(
            "ip_not_allowed",
            f"{who} is not in ALLOWED_IPS. If a proxy forwards the callbacks, add it to TRUSTED_PROXIES.",
        )


def check_binding(report: Report, binding: Binding, settings: Settings) -> None:
    """Compare the report with the token's binding. A field that is absent on either side never contradicts."""
    if "binding" not in settings.verify:
        return
    given = report.input or _NO_INPUT
    tag = None if report.tag == JOB_EVENT else report.tag
    _compare("bucket", _one(binding.bucket), given.bucket)
    _compare("region", _one(binding.region), given.region)
    _compare("tag", binding.tags, tag)
    _compare("input object", binding.objects, given.object, object_digest)
    _compare("user data", binding.user_data, report.user_data, digest)


def _compare(
    what: str, allowed: tuple[str, ...], reported: str | None, form: Callable[[str], str] = str
) -> None:
    if allowed and reported and form(reported) not in allowed:
        raise Problem("binding_mismatch", f"The {what} does not match the binding of this URL.")


def _one(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


def layers(settings: Settings) -> list[str]:
    """The checks that a callback has passed when it is stored, as its history entry names them."""
    return [check for check in ("token", "ip", "binding") if check in settings.verify]
