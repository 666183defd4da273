"""Authorization: the signature of a request, in its header or its query, and the security token.

CI and COS have different codes for the same refusal; both tables are published.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from emulator.account import SECRET_ID, SECRET_KEY
from emulator.http.errors import EmulatorError
from emulator.http.signature import SignatureError, Signed, claim_from_header, claim_from_query, verify
from emulator.http.web import path, query

if TYPE_CHECKING:
    from flask import Request

TOKEN_NAMES = ("x-ci-security-token", "x-cos-security-token")

# SignatureError's reason as CI and as COS call it.
_CI = {
    "missing": "MissingAuthorization",
    "malformed": "InvalidAuthorization",
    "unknown_key": "SecretidNotExist",
    "expired": "SignatureExpired",
    "early": "InvalidAuthorization",
    "mismatch": "InvalidAuthorization",
}
_COS = {
    "missing": "AccessDenied",
    "malformed": "AccessDenied",
    "unknown_key": "InvalidAccessKeyId",
    "expired": "AccessDenied",
    "early": "AccessDenied",
    "mismatch": "SignatureDoesNotMatch",
}


def check(request: Request, token: str | None, *, ci: bool) -> None:
    """Raise EmulatorError unless the request is signed by the account, with its token if it has one."""
    try:
        _check_signature(request)
    except SignatureError as fault:
        raise EmulatorError((_CI if ci else _COS)[fault.reason], fault.message) from fault
    if token is not None and not _has_token(request, token):
        raise EmulatorError("AccessDenied", "The security token is missing or wrong.", 403)


def _check_signature(request: Request) -> None:
    params = query()
    authorization = request.headers.get("Authorization", "")
    claim = claim_from_header(authorization) if authorization else claim_from_query(params)
    if claim is None:
        raise SignatureError("missing", "The request is not signed.")
    signed = Signed(request.method, path(), params, tuple(request.headers.items()))
    verify(claim, signed, SECRET_ID, SECRET_KEY, time.time())


def _has_token(request: Request, token: str) -> bool:
    given = [request.headers.get(name) or request.args.get(name) or "" for name in TOKEN_NAMES]
    return any(hmac.compare_digest(one.encode(), token.encode()) for one in given)
