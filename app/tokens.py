"""Callback tokens: minted by the submitter, verified by the receiver, with no store at hand.

A token is the last part of a callback URL. It is signed by itsdangerous and carries its *binding*: what the job that
it was minted for may say of itself. Free text (object keys, user data) is carried as a short digest.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from app.settings import CallbackKey

_SALT = "ci-callback"


class BadToken(Exception):
    """The token cannot be trusted. ``reason`` is ``bad_token`` or ``expired_token``."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token stands for. An empty tuple or ``None`` binds nothing."""

    submission: str | None = None
    name: str | None = None
    bucket: str | None = None
    region: str | None = None
    tags: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    user_data: tuple[str, ...] = ()
    expires: int | None = None
    nonce: str | None = None


_FIELDS = {
    "submission": "s",
    "name": "n",
    "bucket": "b",
    "region": "r",
    "tags": "t",
    "objects": "o",
    "user_data": "u",
    "expires": "e",
    "nonce": "i",
}


def digest(text: str) -> str:
    """A short one-way mark of a text, enough to notice a difference: 48 bits, hexadecimal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def object_digest(key: str) -> str:
    """The mark of an object key, without leading slashes: CI writes some keys with one, and some without."""
    return digest(key.lstrip("/"))


def fingerprint(token: str) -> str:
    """What logs and the revocation list say instead of a token."""
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def new_nonce() -> str:
    """Makes two tokens with the same binding different, so that one can be revoked without the other."""
    return secrets.token_urlsafe(6)


def mint(binding: Binding, keys: Sequence[CallbackKey]) -> str:
    """Sign with the first key; the key's id rides along so that an operator can tell which keys are in use."""
    payload: dict[str, Any] = {"k": keys[0].id}
    for field, short in _FIELDS.items():
        value = getattr(binding, field)
        if value:
            payload[short] = list(value) if isinstance(value, tuple) else value
    return str(_serializer(keys).dumps(payload))


def read(token: str, keys: Sequence[CallbackKey], now: float | None = None) -> Binding:
    """Verify in constant time and return the binding, or raise ``BadToken``."""
    try:
        payload = _serializer(keys).loads(token)
        _check_spelling(token)
    except (BadData, ValueError):
        raise BadToken("bad_token", "The token in the URL is not one that this service signed.") from None
    values = {field: payload.get(short) for field, short in _FIELDS.items()}
    expires = values["expires"]
    if expires is not None and expires < (time.time() if now is None else now):
        raise BadToken("expired_token", "The token in the URL has expired.")
    given: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if v is not None
    }
    return Binding(**given)


def _check_spelling(token: str) -> None:
    """Raise ``ValueError`` for another spelling of a good token.

    Base64 is read leniently: bits of the last letter may differ, and junk is skipped. Two spellings would have two
    fingerprints, and whoever has a revoked token could go on with the other one.
    """
    signature = token.rpartition(".")[2]
    if base64_encode(base64_decode(signature)).decode() != signature:
        raise ValueError("spelling")


def _serializer(keys: Sequence[CallbackKey]) -> URLSafeSerializer:
    # itsdangerous signs with the last key of its list and accepts all of them.
    return URLSafeSerializer(
        [key.secret for key in reversed(keys)],
        salt=_SALT,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
