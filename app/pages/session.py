"""Sessions: an API key in a signed cookie, and in each form a token against cross-site requests.

The cookie holds the digest of the key, never the key. It is looked up for each request, so that a session ends with its
key. Cookies: RFC 6265bis; forged requests: the synchronizer token of OWASP's cheat sheet.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from flask import g, request
from itsdangerous import BadData, URLSafeTimedSerializer
from msgspec import Struct
from werkzeug.wrappers import Response

from app.settings import Settings
from app.store.access.api_keys import ApiKey
from app.web.problems import Problem
from app.web.services import services

COOKIE: Final = "ci_session"
LIFE_S: Final = 12 * 3600
_SALT: Final = "ci-session"


class Session(Struct, frozen=True):
    """A browser. ``digest`` is that of its API key, empty before it has signed in; ``nonce`` is its own."""

    nonce: str
    digest: str = ""


def current() -> Session:
    """The session of this request; a new one if the cookie is missing, forged or expired."""
    if "browser" not in g:
        g.browser = _read(request.cookies.get(COOKIE, "")) or Session(secrets.token_urlsafe(16))
    found: Session = g.browser
    return found


def key_of(session: Session) -> ApiKey | None:
    """The session's API key; ``None`` if it was revoked."""
    return services().store.api_keys.with_digest(session.digest) if session.digest else None


def begin(answer: Response, digest: str) -> None:
    """Sign the browser in with the key of that digest. The nonce is a new one: an earlier one may be known."""
    set_cookie(answer, Session(secrets.token_urlsafe(16), digest))


def set_cookie(answer: Response, session: Session) -> None:
    value = _serializer(services().settings).dumps([session.nonce, session.digest])
    answer.set_cookie(
        COOKIE,
        value,
        max_age=LIFE_S,
        httponly=True,
        samesite="Lax",
        secure=_is_tls(),
        path=request.script_root or "/",
    )


def end(answer: Response) -> None:
    answer.delete_cookie(COOKIE, path=request.script_root or "/", httponly=True, samesite="Lax")


def form_proof() -> str:
    """What each form sends as ``csrf``: only a page of this session can know it."""
    secret = secrets_of(services().settings)[0].encode()
    return hmac.digest(secret, f"form {current().nonce}".encode(), hashlib.sha256).hex()


def check_form() -> None:
    """Raises ``Problem`` unless a page of this session made the form."""
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), form_proof().encode()):
        raise Problem("forged_form", "Nothing was done. Reload the page and try again.")


def _read(cookie: str) -> Session | None:
    try:
        nonce, digest = _serializer(services().settings).loads(cookie, max_age=LIFE_S)
        return Session(str(nonce), str(digest))
    except (BadData, ValueError, TypeError):
        return None


def _is_tls() -> bool:
    public = services().settings.public_url or ""
    return request.is_secure or (public.startswith("https://") and request.host in public)


def secrets_of(settings: Settings) -> list[str]:
    """The secrets that sign cookies and forms; the first signs, all verify."""
    return [key.secret for key in settings.session_keys or settings.callback_keys]


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    """itsdangerous signs with the last key of its list and accepts all; the salt keeps callback tokens apart."""
    return URLSafeTimedSerializer(
        secrets_of(settings)[::-1],
        salt=_SALT,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
