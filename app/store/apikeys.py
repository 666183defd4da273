"""API keys: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from app.store.clock import now_ms, rfc3339
from app.store.connection import Database

Scope = Literal["read", "links", "submit", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: never the key itself."""

    name: str
    scopes: frozenset[str]
    created_at: str


class ApiKeys:
    """The API keys in the store."""

    def __init__(self, db: Database) -> None:
        self._redis = db.client
        self._hash = db.key("keys")

    def create(self, name: str, scopes: frozenset[str], key: str | None = None) -> str:
        """A new key; the only moment at which it can be read. A key of the same name is replaced."""
        self.revoke(name)
        key = key or "ck_" + secrets.token_urlsafe(24)
        kept = {"name": name, "scopes": sorted(scopes), "created_at": rfc3339(now_ms())}
        self._redis.hset(self._hash, _digest(key), json.dumps(kept))
        return key

    def find(self, key: str) -> ApiKey | None:
        kept = self._redis.hget(self._hash, _digest(key))
        return _read(kept) if kept else None

    def list(self) -> list[ApiKey]:
        return sorted((_read(kept) for kept in self._redis.hvals(self._hash)), key=lambda k: k.name)

    def revoke(self, name: str) -> bool:
        """Whether there was such a key."""
        digests = [
            digest for digest, kept in self._redis.hgetall(self._hash).items() if _read(kept).name == name
        ]
        return bool(digests) and bool(self._redis.hdel(self._hash, *digests))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _read(kept: bytes | str) -> ApiKey:
    row = json.loads(kept)
    return ApiKey(row["name"], frozenset(row["scopes"]), row["created_at"])
