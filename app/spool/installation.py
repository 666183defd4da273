"""The id of this installation, which Redis and the spool's folder both hold, so that a Redis that has lost its data, or
is another one, is noticed.
"""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import asdict

from app.spool.files import keep_bytes, make_folder
from app.store.database import Database

log = logging.getLogger(__name__)

InstallationState = Literal["ok", "lost", "foreign"]
"""``lost``: this Redis should have the folder's id and does not: it lost its data, or an empty one took over.
``foreign``: it has another id at another address, or KEY_PREFIX differs: it is probably another installation's."""

_FILE = "installation"


class _Mark(Struct, frozen=True):
    """What the folder holds: the id, and the address and prefix of the Redis that had it."""

    id: str
    redis: str
    prefix: str


class Installation:
    """Made at the first start. Several receivers, each with a spool of its own, share the id that Redis has."""

    def __init__(self, db: Database, folder: Path, redis_url: str) -> None:
        self._db = db
        self._folder = folder
        self._place = _place(redis_url)

    def state(self, *, make: bool = True) -> InstallationState:
        """Compare the two; what is missing on a first start is made. Raises ``RedisError``.

        Only receivers ``make`` it: the folder of another process may be a fresh one each time, and would give an empty
        Redis an id that no receiver knows.
        """
        mark, id_ = self._read(), self._get()
        if mark is None and not make:
            return "ok"
        if mark is None:
            self._write(id_ or self._set(secrets.token_hex(8)))
            return "ok"
        if mark.id == id_:
            if mark != self._mark(id_):
                self._write(id_)  # it has moved, with its data
            return "ok"
        moved = mark.redis != self._place
        return "foreign" if mark.prefix != self._db.prefix or (id_ and moved) else "lost"

    def accept(self) -> None:
        """From now on this Redis and this folder belong together. A Redis without an id gets the folder's, so that the
        other receivers, whose folders have the same one, agree at once."""
        mark = self._read()
        self._write(self._get() or self._set(mark.id if mark else secrets.token_hex(8)))

    def explain(self, state: InstallationState) -> str:
        mark = self._read()
        if state == "ok" or mark is None:
            return "Redis and SPOOL_DIR belong to the same installation"
        if state == "lost":
            moved = f" SPOOL_DIR was used with the one at {mark.redis}." if mark.redis != self._place else ""
            return (
                f"Redis at {self._place} does not have the id of this installation ({mark.id}): "
                f"it came back empty, or with another one's data.{moved}"
            )
        return (
            f"SPOOL_DIR belongs to the installation {mark.id} (Redis at {mark.redis}, KEY_PREFIX {mark.prefix}), "
            f"and Redis at {self._place} does not"
        )

    def _mark(self, id_: str) -> _Mark:
        return _Mark(id_, self._place, self._db.prefix)

    def _get(self) -> str | None:
        found = self._db.client.get(self._db.key("installation"))
        return found.decode() if isinstance(found, bytes) else None

    def _set(self, id_: str) -> str:
        """SET with NX, so that processes that start at the same time agree on one id."""
        self._db.client.set(self._db.key("installation"), id_, nx=True)
        return self._get() or id_

    def _read(self) -> _Mark | None:
        try:
            return _Mark(**json.loads((self._folder / _FILE).read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read; creating it again: %s", self._folder / _FILE, error)
            return None

    def _write(self, id_: str) -> None:
        try:
            make_folder(self._folder)
            keep_bytes(self._folder / _FILE, json.dumps(asdict(self._mark(id_))).encode())
        except OSError as error:
            log.warning("%s cannot be written: %s", self._folder / _FILE, error)


def _place(redis_url: str) -> str:
    """The address, without its password."""
    parts = urlsplit(redis_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
