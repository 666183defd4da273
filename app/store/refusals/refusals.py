"""Refused callbacks whose token was ours: they are kept for a while, and CI is asked about their jobs."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.core.clock import now_ms, rfc3339
from app.redis.connection import UNAVAILABLE
from app.redis.cursors import decode_cursor, encode_cursor
from app.redis.durable import Durable
from app.redis.scripts import script, text_map
from app.store.accept.news import Limits
from app.store.accept.outcomes import Unavailable
from app.store.database import Database
from app.store.packing.packing import pack
from app.store.refusals.refusal import (
    REFUSAL_FIELDS,
    Refusal,
    RefusalFilter,
    entry_of,
    of_row,
    row_of,
    shortened,
    with_act,
)

_OVERHEAD = 1000
"""Bytes that Redis needs for a refusal beside its texts and body (measured: 800 to 900)."""
_SHARES = 8
"""One token may fill an eighth of the room, so that a leaked URL does not push out the refusals of others."""
_DROPS_MAX = 1000
"""Refusals that one call drops at most, which takes Redis a few milliseconds. The next call goes on."""
_CHUNK = 200
_EVER = 2**53
_SCAN_MAX = 4000
"""Refusals that one page reads at most; it is returned short if fewer than its limit matched."""


class Bounds(Struct, frozen=True):
    """How long refusals are kept (seconds), and how many bytes of Redis they may fill."""

    seconds: float = 7 * 86400
    size: int = 64 * 2**20


class Refusals:
    """The refusals in the store, newest first; each also stands in the history of the jobs it belongs to."""

    def __init__(self, db: Database, limits: Limits, durable: Durable, bounds: Bounds | None = None) -> None:
        self._db = db
        self._redis = db.client
        self._limits = limits
        self._durable = durable
        self._bounds = bounds or Bounds()
        self._script = script(db.client, "record", "refuse")

    def note(self, refusal: Refusal) -> bool:
        """Store it and schedule questions to CI; false, and nothing is stored, if its token is revoked. Idempotent.

        With the token of a submission, CI is asked about that submission's jobs, whatever the payload names.
        """
        fields = row_of(refusal)
        body = zlib.compress(refusal.body, 1) if refusal.body else b""
        if len(body) > self._share - 2 * _OVERHEAD:
            body, fields["whole"] = b"", ""
        note = {
            "id": refusal.id,
            "token": refusal.token,
            "submission": refusal.submission or "",
            "received": refusal.received_ms,
            "bytes": _OVERHEAD
            + len(body)
            + sum(len(str(each)) for each in (*fields.values(), *refusal.job_ids)),
            "job_ids": refusal.job_ids,
            "fields": fields,
        }
        verdict, _ = self._run({"note": note}, body, entry_of(refusal))
        return verdict != "revoked"

    def amend(self, refusal: Refusal, reason: str, detail: str, act: Mapping[str, str]) -> bool:
        """Note that it was retried and refused again, for this reason; false if it is no longer on the list."""
        fields = {"reason": reason, "detail": shortened(detail), "acts": with_act(refusal.acts, act)}
        return self._run({"amend": {"id": refusal.id, "fields": fields}})[0] == "done"

    def taken(self, refusal: Refusal) -> bool:
        """Remove it: it was accepted, and its jobs' history has it. False if another caller has removed it before."""
        return self._run({"close": {"id": refusal.id}})[0] == "done"

    def dismiss(self, refusal: Refusal, by: str, reason: str) -> bool:
        """Take it off the list; the reason stays in its record and its jobs' history. False if it is not on the
        list."""
        at = rfc3339(now_ms())
        act = {"act": "dismiss", "at": at, "by": by, "reason": shortened(reason)}
        entry = {"kind": "refused", "at": at, "outcome": "dismissed", "reason": refusal.reason}
        entry |= {"detail": shortened(reason), "by": by, "refusal": refusal.id}
        fields = {"state": "dismissed", "acts": with_act(refusal.acts, act)}
        close = {"id": refusal.id, "fields": fields, "keep_ms": int(self._bounds.seconds * 1000)}
        return self._run({"close": close}, entry=entry)[0] == "done"

    def drop_old(self, older_than_s: float, count: int) -> int:
        """Remove up to ``count`` refusals that are older. Returns how many."""
        return self._run({"cutoff": now_ms() - int(older_than_s * 1000), "count": count})[1]

    def get(self, refusal_id: str) -> Refusal | None:
        """A refusal with its body, open or closed; ``None`` if it is not kept, or no longer."""
        row: dict[bytes, bytes] = self._redis.hgetall(self._db.key("refusal", refusal_id))  # type: ignore[assignment]
        if not row:
            return None
        body = row.pop(b"body", b"")
        return replace(of_row(refusal_id, text_map(row)), body=zlib.decompress(body) if body else b"")

    def page(
        self, wanted: RefusalFilter, limit: int, cursor: str | None = None
    ) -> tuple[list[Refusal], str | None]:
        """Up to ``limit`` refusals and the next cursor. A page may be short; only the cursor ``None`` is the end."""
        found: list[Refusal] = []
        for scanned, refusal in enumerate(self._walk(wanted, decode_cursor(cursor)), 1):
            if wanted.matches(refusal):
                found.append(refusal)
            if len(found) == limit or scanned >= _SCAN_MAX:
                return found, encode_cursor((refusal.received_ms, refusal.id))
        return found, None

    def matching(self, wanted: RefusalFilter) -> int:
        """How many match."""
        return sum(map(wanted.matches, self._walk(wanted, None)))

    def newest(self, count: int) -> list[Refusal]:
        return self.page(RefusalFilter(), count)[0]

    def open(self) -> tuple[int, int]:
        """How many refusals are open, and how many bytes they fill."""
        size: Any = self._redis.hget(self._db.key("refused_bytes"), "all")
        return int(self._redis.zcard(self._db.key("refused"))), int(size or 0)

    def revoke(self, token_fingerprint: str) -> None:
        """Refuse all callbacks with this token from now on. Raises ``Unavailable`` unless that is stored durably."""
        try:
            safe = self._durable.write([["SADD", self._db.key("revoked"), token_fingerprint]])
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        if not safe:
            raise Unavailable(
                "the token is revoked, but not yet as durably as DURABILITY promises: revoke it again"
            )

    def pardon(self, token_fingerprint: str) -> None:
        """Undo ``revoke``, for a token that was never given out."""
        self._db.client.srem(self._db.key("revoked"), token_fingerprint)

    def is_revoked(self, token_fingerprint: str) -> bool:
        return bool(self._db.client.sismember(self._db.key("revoked"), token_fingerprint))

    @property
    def _share(self) -> int:
        return self._bounds.size // _SHARES

    def _run(
        self, fields: dict[str, Any], body: bytes = b"", entry: dict[str, Any] | None = None
    ) -> tuple[str, int]:
        now = now_ms()
        header = {
            "now": now,
            "cutoff": now - int(self._bounds.seconds * 1000),
            "count": _DROPS_MAX,
            "most": self._bounds.size,
            "share": self._share,
            "history_max": self._limits.history,
        }
        line = pack(json.dumps(entry).encode()) if entry else b""
        verdict, dropped = self._script(args=[self._db.prefix, json.dumps(header | fields), body, line])
        return verdict.decode(), dropped

    def _walk(self, wanted: RefusalFilter, after: tuple[int, str] | None) -> Iterator[Refusal]:
        """Newest first, those after ``after``."""
        key = self._db.key("refused_of", wanted.token) if wanted.token else self._db.key("refused")
        top = min(wanted.before or _EVER, after[0] if after else _EVER)
        low, offset = wanted.after or 0, 0
        while True:
            rows: list[tuple[bytes, float]] = self._redis.zrange(  # type: ignore[assignment]
                key, top, low, desc=True, byscore=True, withscores=True, offset=offset, num=_CHUNK
            )
            places = [(int(score), member.decode()) for member, score in rows]
            yield from self._many([each for each in places if after is None or each < after])
            if len(rows) < _CHUNK:
                return
            if after is None or places[-1] < after:
                # Some of these may have been removed since, and an offset would then skip others.
                after, top, offset = places[-1], places[-1][0], 0
            else:
                offset += _CHUNK

    def _many(self, places: list[tuple[int, str]]) -> Iterator[Refusal]:
        pipe = self._redis.pipeline(transaction=False)
        for _, each in places:
            pipe.hmget(self._db.key("refusal", each), *REFUSAL_FIELDS)
        for (_, each), values in zip(places, pipe.execute() if places else [], strict=True):
            row = {
                name: value.decode()
                for name, value in zip(REFUSAL_FIELDS, values, strict=True)
                if value is not None
            }
            if row:
                yield of_row(each, row)
