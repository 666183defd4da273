"""Turns an error answer of CI or COS into the exception to raise, with no secret in its text."""

import re
from collections.abc import Iterable, Iterator

from app.ci.bounds import cut
from app.ci.incoming.payload import CIError, parse_error
from app.provider import clock_skew
from app.provider.advice import NUMBERS
from app.provider.errors import ProviderError, RequestRejected, ServerError, Throttled
from app.provider.values import Response

_URL = re.compile(r"https?:(?:/|\\/|%2f){2}\S*", re.IGNORECASE)
_SIGNATURE = re.compile(r"q-(?:signature|ak|key-time|sign-time)=[^&\s]*", re.IGNORECASE)
_CALLBACK = re.compile(rb"<(CallBack|Url)>\s*+([^<\s]++)\s*+</\1>", re.IGNORECASE)
_NOTHING = CIError()
_RETRY_AFTER_MAX_S = 300.0
"""One wrong answer must not stop the questions of all relays for days."""
_SECRET_MIN = 8  # "no", "/" or "jobs" would eat the message and hide nothing
_STATUS_CODES = {
    429: "SlowDown",
    301: "PermanentRedirect",
    302: "TemporaryRedirect",
    307: "TemporaryRedirect",
}


def raise_for_status(got: Response, secrets: Iterable[str], sent: bytes = b"") -> None:
    """Returns for 2xx; else raises Throttled, ServerError or RequestRejected with CI's own code and message.

    `secrets`, and the callback URLs in `sent` (the request's body), are removed from the message.
    """
    if 200 <= got.status < 300:
        return
    ci_error = parse_error(got.body)
    code = _code(got.status, ci_error)
    kind: type[ProviderError] = RequestRejected
    if got.status == 429 or code == "SlowDown":
        kind = Throttled
    elif got.status >= 500:
        kind = ServerError
    hidden = (*secrets, *_callback_urls(sent))
    raise kind(
        cut("error.code", _scrub(code, hidden)),
        cut("error.message", _scrub(ci_error.message or "", hidden)),
        status=got.status,
        request_id=request_id(got, ci_error),
        retry_after=_seconds(got.headers.get("Retry-After")),
        advice=clock_skew.advice(got.status, got.headers),
    )


def request_id(got: Response, ci_error: CIError = _NOTHING) -> str | None:
    """The id that Tencent's support asks for, from the body or a header of an answer."""
    found = ci_error.request_id or got.headers.get("x-ci-request-id") or got.headers.get("x-cos-request-id")
    return cut("error.request_id", found)


def _callback_urls(sent: bytes) -> Iterator[str]:
    """The path of each callback URL in the body, and its last part, which in ours is the token."""
    for match in _CALLBACK.finditer(sent):
        address = match[2].decode("utf-8", "replace")
        scheme, mark, rest = address.partition("://")
        path = "/" + rest.partition("/")[2] if mark and scheme.lower() in ("http", "https") else address
        yield path
        yield path.rpartition("/")[2]


def _code(status: int, ci_error: CIError) -> str:
    """CI's code; the word for its number; or a code for the status."""
    if ci_error.code:
        return NUMBERS.get(ci_error.code, ci_error.code)
    return _STATUS_CODES.get(status, f"HTTP{status}")


def _scrub(text: str, hidden: Iterable[str]) -> str:
    text = _SIGNATURE.sub("(signature)", _URL.sub("(address)", text))
    for secret in sorted(hidden, key=len, reverse=True):
        if len(secret) >= _SECRET_MIN:
            text = text.replace(secret, "(hidden)")
    return text


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3), five minutes at most; CI has not been seen to send a date."""
    if retry_after and re.fullmatch(r"[0-9]{1,100}", retry_after.strip()):
        return min(float(retry_after), _RETRY_AFTER_MAX_S)
    return None
