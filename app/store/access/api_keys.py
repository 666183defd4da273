"""API keys: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import json
import secrets
from functools import lru_cache
from typing import Literal, get_args

from msgspec import Struct

from app.core.clock import now_ms, rfc3339
from app.redis.scripts import script
from app.store.database import Database

Scope = Literal["read", "links", "submit", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class ApiKey(Struct, frozen=True):
    """A key as it is stored: its name and scopes, never the key itself."""

    name: str
    scopes: frozenset[str]
    created_at: str

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class NameTaken(Exception):
    """There is a key of that name."""


class ApiKeys:
    """The API keys in the store."""

    def __init__(self, db: Database) -> None:
        self._redis = db.client
        self._hash = db.key("keys")
        self._create = script(db.client, "new_key")

    def create(
        self, name: str, scopes: frozenset[str], key: str | None = None, *, replace: bool = False
    ) -> str:
        """Make a key and return it: it can be read only here. Raises ``NameTaken`` unless ``replace``.

        One script: of two callers who take the same name at the same time one gets ``NameTaken``, and a replaced key
        works until the new one does.
        """
        key = key or "ck_" + secrets.token_urlsafe(24)
        kept = {"name": name, "scopes": sorted(scopes), "created_at": rfc3339(now_ms())}
        if not self._create(keys=[self._hash], args=[key_digest(key), json.dumps(kept), name, int(replace)]):
            raise NameTaken(name)
        return key

    def with_digest(self, digest: str) -> ApiKey | None:
        """The key whose ``key_digest`` this is, unless it was revoked."""
        kept = self._redis.hget(self._hash, digest)
        return _read(kept) if kept else None

    def list(self) -> list[ApiKey]:
        return sorted((_read(kept) for kept in self._redis.hvals(self._hash)), key=lambda k: k.name)

    def revoke(self, name: str) -> bool:
        """True if there was a key of that name."""
        digests = [
            digest for digest, kept in self._redis.hgetall(self._hash).items() if _read(kept).name == name
        ]
        return bool(digests) and bool(self._redis.hdel(self._hash, *digests))


def key_digest(key: str) -> str:
    """What Redis holds of a key: its SHA-256, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


@lru_cache(maxsize=1024)
def _read(kept: bytes | str) -> ApiKey:
    row = json.loads(kept)
    return ApiKey(row["name"], frozenset(row["scopes"]), row["created_at"])


def read_key(holder: bytes | None) -> ApiKey | None:
    """The key that holder.lua found, from the record that it returned."""
    return _read(holder) if holder else None
