"""API keys and callback URLs, as commands list them; never the key or the URL itself."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from app.core.clock import rfc3339
from app.store.access.api_keys import ApiKey
from app.store.access.callback_urls import CallbackUrl


class KeyView(BaseModel):
    """An API key."""

    name: str
    scopes: list[str]
    created_at: str

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        return cls(name=key.name, scopes=sorted(key.scopes), created_at=key.created_at)


class CallbackUrlView(BaseModel):
    """A callback URL that belongs to no submission, and which jobs it accepts."""

    name: str
    fingerprint: str
    tags: list[str]
    bucket: str | None
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    expired: bool
    revoked: bool

    @classmethod
    def of(cls, url: CallbackUrl, now: int) -> Self:
        """``now`` in milliseconds since 1970."""
        return cls(
            name=url.name,
            fingerprint=url.fingerprint,
            tags=list(url.tags),
            bucket=url.bucket,
            created_at=rfc3339(url.created),
            last_used_at=rfc3339(url.used) if url.used else None,
            expires_at=rfc3339(url.expires) if url.expires else None,
            expired=url.has_expired(now),
            revoked=url.revoked,
        )
