"""Loads the Lua scripts beside this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from redis.commands.core import Script

from app.store.connection import Database

_FOLDER = Path(__file__).parent


@cache
def _source(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def script(db: Database, name: str) -> Script:
    """The script ``name``.lua, sent by its hash and, where the server has forgotten it, by its text."""
    return db.client.register_script(_source(name))


def text(value: Any) -> str | None:
    """A Redis reply as text; a missing one as ``None``."""
    return value.decode() if isinstance(value, bytes) else value


def texts(values: Any) -> list[str]:
    """A Redis reply of several values as texts."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def text_map(row: Any) -> dict[str, str]:
    """A Redis hash as texts."""
    return {name.decode(): value.decode() for name, value in row.items()}
