"""API keys and callback URLs, without the key or the URL itself; and the audit list."""

from __future__ import annotations

from typing import Self

from msgspec.structs import asdict
from pydantic import BaseModel, Field

from app.core.clock import rfc3339
from app.store.access.api_keys import ApiKey
from app.store.access.callback_urls import CallbackUrl
from app.store.audit.audit_list import AuditEntry, Value, Via


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


class AuditEntryView(BaseModel):
    """One action of a person, and its result."""

    id: str = Field(description="Id of the entry; later entries have greater ones.")
    at: str = Field(description="When it was done.")
    by: str = Field(description="The name of the API key, or `local` for a command.")
    via: Via = Field(description="Through the API, a page, or a command.")
    action: str = Field(description="A noun and a verb, such as `jobs.replay`.")
    job_ids: list[str] = Field(description="The jobs that it was applied to; the first twenty.")
    on: dict[str, Value] = Field(description="What else it was applied to: a filter, a lane, a name.")
    did: dict[str, Value] = Field(description="The result: counts, or `error`.")
    request_id: str | None = Field(description="`X-Request-Id` of the request; null for a command.")

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls.model_validate(asdict(entry))


class AuditPage(BaseModel):
    """Newest first; only a ``next_cursor`` of null is the end."""

    entries: list[AuditEntryView]
    next_cursor: str | None

    @classmethod
    def of(cls, entries: list[AuditEntry], next_cursor: str | None) -> Self:
        return cls(entries=[AuditEntryView.of(each) for each in entries], next_cursor=next_cursor)
