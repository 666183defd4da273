"""What was begun under a name that the caller chose, so that it is done once: by any process, through any crash.

A mark names its submission before that submission exists. So a process that finds the mark of a dead one can tell what
became of it: no submission, nothing was sent; a submission, CI may have it, and it must not be sent again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.core.clock import now_ms
from app.redis.connection import UNAVAILABLE
from app.redis.scripts import script
from app.store.database import Database
from app.store.jobs.accept import Unavailable


@dataclass(frozen=True, slots=True)
class Mark:
    """``content`` is a hash of what was asked for, ``since`` milliseconds, ``answer`` what was answered, if it was."""

    content: str
    submission: str
    since: int
    answer: dict[str, Any] | None = None

    @property
    def age_s(self) -> float:
        return (now_ms() - self.since) / 1000

    def answered(self, answer: dict[str, Any]) -> Mark:
        return replace(self, answer=answer)


class Marks:
    """The marks in the store. Every method raises ``Unavailable``."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._swap = script(db.client, "swap")

    def take(self, space: str, name: str, mark: Mark, keep_s: int) -> Mark | None:
        """``None``: the name was free, and is ours. Else the mark that is there."""
        try:
            while True:
                if self._db.client.set(self._key(space, name), _text(mark), nx=True, ex=keep_s):
                    return None
                kept = self._db.client.get(self._key(space, name))
                if kept:
                    return Mark(**json.loads(kept))
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error

    def swap(self, space: str, name: str, old: Mark, new: Mark | None, keep_s: int = 1) -> bool:
        """Put ``new`` (or nothing) in the place of ``old``; false when another was quicker."""
        try:
            arguments: list[Any] = [_text(old), _text(new) if new else "", keep_s]
            return bool(self._swap(keys=[self._key(space, name)], args=arguments))
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error

    def _key(self, space: str, name: str) -> str:
        """Names are text of any length from outside."""
        return self._db.key("mark", f"{space}:{hashlib.sha256(name.encode()).hexdigest()}")


def _text(mark: Mark) -> str:
    return json.dumps(asdict(mark), sort_keys=True)


def content_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
