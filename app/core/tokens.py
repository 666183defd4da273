"""Callback tokens: minted by the submitter, verified by the receiver without a look-up.

A token is the last part of a callback URL. It is signed by itsdangerous and carries its *binding*: the values that a
callback with it may report. Free text (object keys, user data) is carried as a short digest.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from itsdangerous import BadData, Serializer, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from msgspec import Struct
from pydantic import SecretStr

_SALT = "ci-callback"

_AFTER = "/ \t\r\n\v\f\x85\xa0\u2028\u2029\u200b\u3000\ufeff"


class CallbackKey(tuple[str, SecretStr]):
    """One signing key: ``id`` goes into each token, ``secret`` never leaves the process."""

    __slots__ = ()

    def __new__(cls, name: str, secret: SecretStr) -> CallbackKey:
        return super().__new__(cls, (name, secret))

    def __getnewargs__(self) -> tuple[str, SecretStr]:
        """For pickle: a tuple would be rebuilt from one argument."""
        return self[0], self[1]

    @property
    def id(self) -> str:
        return self[0]

    @property
    def secret(self) -> str:
        return self[1].get_secret_value()


class BadToken(Exception):
    """The token is not one of ours."""


class Binding(Struct, frozen=True):
    """The content of a token. An empty tuple or ``None`` binds nothing; ``expires`` is in seconds since 1970."""

    submission: str | None = None
    name: str | None = None
    bucket: str | None = None
    region: str | None = None
    tags: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    user_data: tuple[str, ...] = ()
    expires: int | None = None
    nonce: str | None = None

    def has_expired(self, now: float | None = None) -> bool:
        return self.expires is not None and self.expires < (time.time() if now is None else now)


NO_BINDING = Binding()
"""The binding if VERIFY does not include ``token``."""

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
    """A short hash of a text, long enough to notice a difference: BLAKE2b, 48 bits, in hex."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def object_digest(key: str) -> str:
    """The ``digest`` of an object key without leading slashes: CI writes some keys with one, and some without."""
    return digest(key.lstrip("/"))


def bare(pasted: str) -> str:
    """A token without the slashes, blanks and line ends that a form or an editor may append to the URL."""
    return pasted.rstrip(_AFTER)


def fingerprint(token: str) -> str:
    """The name of a token in logs and in the revocation list, which never contain the token."""
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def new_nonce() -> str:
    """Makes two tokens with the same binding different, so that one can be revoked without the other."""
    return secrets.token_urlsafe(6)


def mint(binding: Binding, keys: Sequence[CallbackKey]) -> str:
    """Sign with the first key. The token contains the key's id, so that an operator can see which keys are in use."""
    payload: dict[str, Any] = {"k": keys[0].id}
    for field, short in _FIELDS.items():
        value = getattr(binding, field)
        if value:
            payload[short] = list(value) if isinstance(value, tuple) else value
    return str(_serializer(tuple(keys)).dumps(payload))


def read_token(token: str, keys: Sequence[CallbackKey]) -> Binding:
    """Verify in constant time and return the binding, which may have expired; or raise ``BadToken``."""
    return _read_token(token, tuple(keys))


@lru_cache(maxsize=1024)
def _read_token(token: str, keys: tuple[CallbackKey, ...]) -> Binding:
    """Cached, because all jobs of a queue come with one token. Bad ones are not: strangers send any number of them."""
    try:
        payload = _serializer(keys).loads(token)
        _check_spelling(token)
        return _binding(payload)
    except (BadData, ValueError):
        raise BadToken("The token in the URL is not one that this service signed.") from None


def _binding(payload: Any) -> Binding:
    """Raises ``ValueError`` for a payload that was signed with our key for another purpose."""
    if not isinstance(payload, dict):
        raise ValueError("shape")
    given = {field: payload[short] for field, short in _FIELDS.items() if payload.get(short) is not None}
    return msgspec.convert(given, Binding)


def _check_spelling(token: str) -> None:
    """Raise ``ValueError`` for another spelling of a good token.

    Base64 is read leniently: bits of the last letter may differ, and junk is skipped. Two spellings would have two
    fingerprints, and the holder of a revoked token could use the other one.
    """
    signature = token.rpartition(".")[2]
    if base64_encode(base64_decode(signature)).decode() != signature:
        raise ValueError("spelling")


class _Serializer(URLSafeSerializer):
    """Never compresses: a compressed token begins with a dot, and many proxies refuse paths that look like dotfiles."""

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(Serializer.dump_payload(self, obj))


@lru_cache(maxsize=8)
def _serializer(keys: tuple[CallbackKey, ...]) -> URLSafeSerializer:
    """Made once for the keys of the settings: making it takes twice as long as verifying a token.

    itsdangerous signs with the last key of its list and accepts all of them.
    """
    return _Serializer(
        [key.secret for key in reversed(keys)],
        salt=_SALT,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
