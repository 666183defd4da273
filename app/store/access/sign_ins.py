"""Codes that sign a browser in, once."""

from __future__ import annotations

import hashlib
import secrets

from app.store.database import Database

CODE_LIFE_S = 12 * 3600


class SignIns:
    """Each code stands for an API key and is valid for one use."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def make(self, digest: str) -> str:
        """A code for the key with this digest (``api_keys.key_digest``), valid for ``CODE_LIFE_S``."""
        code = secrets.token_urlsafe(24)
        self._db.client.set(self._key(code), digest, ex=CODE_LIFE_S)
        return code

    def use(self, code: str) -> str | None:
        """The digest of the code's key; ``None`` if the code was used, has expired, or was never made."""
        pipe = self._db.client.pipeline(transaction=True)
        pipe.get(self._key(code))
        pipe.delete(self._key(code))
        found = pipe.execute()[0]
        return found.decode() if found else None

    def _key(self, code: str) -> str:
        return self._db.key("sign_in", hashlib.sha256(code.encode()).hexdigest()[:32])
