"""The q-sign-algorithm=sha1 signature of COS and CI requests, verified by the published description.

    SignKey      = hex(HMAC-SHA1(SecretKey, KeyTime))
    HttpString   = method \\n path \\n params \\n headers \\n
    StringToSign = sha1 \\n SignTime \\n hex(SHA1(HttpString)) \\n
    Signature    = hex(HMAC-SHA1(SignKey as hex text, StringToSign))

Source: the pages "Request signature" of COS (https://cloud.tencent.com/document/product/436/7778) and of CI.
Only the headers and parameters in the two lists are signed. Independent of Tencent's SDK.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

Pairs = Iterable[tuple[str, str]]

_FIELDS = (
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
)
_PERIOD = re.compile(r"^([0-9]{1,12});([0-9]{1,12})$")


class SignatureError(Exception):
    """`reason` is one of missing, malformed, unknown_key, expired, early, mismatch."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Claim:
    """The seven fields of an Authorization header, or of a presigned URL's query."""

    key_id: str
    sign_time: str
    key_time: str
    header_list: tuple[str, ...]
    param_list: tuple[str, ...]
    signature: str


@dataclass(frozen=True)
class Signed:
    """A request as received: path decoded, parameters and headers decoded, header names in any case."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]


def claim_from_header(authorization: str) -> Claim:
    """Read an Authorization header. Raises SignatureError `malformed`."""
    pairs = [part.partition("=") for part in authorization.strip().split("&")]
    return _claim({name: value for name, _, value in pairs})


def claim_from_query(params: Pairs) -> Claim | None:
    """Read a presigned URL's query, already decoded; None where it carries no signature."""
    fields = {name: value for name, value in params if name in _FIELDS}
    return _claim(fields) if fields else None


def _claim(fields: Mapping[str, str]) -> Claim:
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        raise SignatureError("malformed", f"The signature lacks {', '.join(missing)}.")
    if fields["q-sign-algorithm"] != "sha1":
        raise SignatureError("malformed", "q-sign-algorithm is not sha1.")
    return Claim(
        fields["q-ak"],
        fields["q-sign-time"],
        fields["q-key-time"],
        _names(fields["q-header-list"]),
        _names(fields["q-url-param-list"]),
        fields["q-signature"],
    )


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name for name in listed.split(";") if name)


def verify(claim: Claim, request: Signed, secret_id: str, secret_key: str, now: float) -> None:
    """Raise SignatureError unless `claim` is a valid signature of `request` at `now` (unix seconds)."""
    if claim.key_id != secret_id:
        raise SignatureError("unknown_key", "The SecretId does not exist.")
    for period in (claim.sign_time, claim.key_time):
        _check_period(period, now)
    for names in (claim.header_list, claim.param_list):
        _check_list(names)
    _check_present(claim, request)
    if not any(
        hmac.compare_digest(_signature(claim, r, secret_key), claim.signature) for r in _readings(request)
    ):
        raise SignatureError("mismatch", "The signature does not match the request.")


def _check_period(period: str, now: float) -> None:
    match = _PERIOD.match(period)
    if match is None:
        raise SignatureError("malformed", "A signature time is not <start>;<end> in unix seconds.")
    start, end = int(match[1]), int(match[2])
    if now > end:
        raise SignatureError("expired", "Request has expired.")
    if now < start:
        raise SignatureError("early", "The signature is not valid yet.")


def _check_list(names: tuple[str, ...]) -> None:
    if any(name != name.lower() for name in names):
        raise SignatureError("malformed", "A list of signed names is not in lower case.")
    if list(names) != sorted(set(names)):
        raise SignatureError("malformed", "A list of signed names is not sorted, or repeats a name.")


def _check_present(claim: Claim, request: Signed) -> None:
    """Every listed name must be in the request: otherwise a proxy could drop a signed header unnoticed."""
    for names, pairs in ((claim.header_list, request.headers), (claim.param_list, request.params)):
        absent = set(names) - {encode(name).lower() for name, _ in pairs}
        if absent:
            raise SignatureError("mismatch", f"Signed but not received: {', '.join(sorted(absent))[:100]}.")


def _readings(request: Signed) -> Iterable[Signed]:
    """The request, and a variant without the port in `host`: for a fixed address the Python SDK signs the name
    alone in presigned URLs, although the header carries the port."""
    yield request
    bare = tuple((n, re.sub(r":[0-9]+$", "", v) if n.lower() == "host" else v) for n, v in request.headers)
    if bare != request.headers:
        yield Signed(request.method, request.path, request.params, bare)


def _signature(claim: Claim, request: Signed, secret_key: str) -> str:
    text = http_string(
        request.method,
        request.path,
        _select(request.params, claim.param_list),
        _select(request.headers, claim.header_list),
    )
    return sign(sign_key(secret_key, claim.key_time), claim.sign_time, text)


def _select(pairs: Pairs, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if encode(name).lower() in names]


def http_string(method: str, path: str, params: Pairs, headers: Pairs) -> str:
    """The canonical text of a request; `params` and `headers` are the ones to sign, decoded."""
    return f"{method.lower()}\n{path}\n{_canonical(params)}\n{_canonical(headers)}\n"


def _canonical(pairs: Pairs) -> str:
    encoded = sorted((encode(name).lower(), encode(value)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def encode(value: str) -> str:
    """Percent-encode UTF-8, leaving letters, digits and `-_.~`."""
    return quote(value, safe="-_.~")


def sign_key(secret_key: str, key_time: str) -> str:
    return _hmac(secret_key, key_time)


def sign(key: str, sign_time: str, text: str) -> str:
    """The signature of an HttpString under a SignKey."""
    # SHA-1 is what Tencent's protocol prescribes.
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return _hmac(key, f"sha1\n{sign_time}\n{digest}\n")


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha1).hexdigest()
