"""Callbacks that were turned away although their token was ours: noted, and CI is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from app.store.accept import Limits, Unavailable
from app.store.clock import now_ms, rfc3339
from app.store.connection import UNAVAILABLE, Database
from app.store.durable import Durable
from app.store.scripts import script

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """A callback that was turned away; ``spooled_ms`` is when, where it could not be noted at once."""

    reason: str
    detail: str
    token: str
    submission: str | None
    job_ids: tuple[str, ...]
    spooled_ms: int | None = None


class Refusals:
    """The newest thousand refusals; each also stands in the history of the job it belongs to."""

    def __init__(self, db: Database, limits: Limits, durable: Durable) -> None:
        self._db = db
        self._limits = limits
        self._durable = durable
        self._script = script(db, "refuse")

    def note(self, refusal: Refusal) -> int:
        """Note it and have CI asked. A submission's own jobs are the ones meant, whatever the payload claims."""
        now = now_ms()
        entry = {
            "kind": "refused",
            "at": rfc3339(refusal.spooled_ms or now),
            "outcome": "refused",
            "reason": refusal.reason,
            "detail": refusal.detail[:300],
            "token": refusal.token,
        }
        if refusal.spooled_ms:
            entry["spooled_at"] = rfc3339(refusal.spooled_ms)
        arguments: list[Any] = [
            self._db.prefix,
            now,
            json.dumps(entry)[:-1],
            self._limits.history,
            _KEPT,
            refusal.submission or "",
            *refusal.job_ids,
        ]
        return int(self._script(args=arguments))

    def newest(self, count: int) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._db.client.lrange(self._db.key("refusals"), 0, count - 1)]

    def revoke(self, token_fingerprint: str) -> None:
        """From now on no callback that carries this token is taken. Raises ``Unavailable`` where that is uncertain."""
        try:
            safe = self._durable.write([["SADD", self._db.key("revoked"), token_fingerprint]])
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        if not safe:
            raise Unavailable("the token is revoked, and not as safely as DURABILITY promises: do it again")

    def pardon(self, token_fingerprint: str) -> None:
        """The opposite of ``revoke``, for a token that nobody was ever given."""
        self._db.client.srem(self._db.key("revoked"), token_fingerprint)

    def is_revoked(self, token_fingerprint: str) -> bool:
        return bool(self._db.client.sismember(self._db.key("revoked"), token_fingerprint))
