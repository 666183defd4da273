"""Loads the Lua scripts beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from redis.commands.core import Script
from redis.exceptions import NoScriptError

from app.store.connection import Database

Call = tuple[Script, list[str], list[Any]]
"""A script, its keys, its arguments."""

_FOLDER = Path(__file__).parent


@cache
def _source(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def script(db: Database, *names: str) -> Script:
    """The script of these files, one behind the other; sent by its hash and, where the server has forgotten it, by its
    text."""
    return db.client.register_script("".join(map(_source, names)))


def in_turn(db: Database, calls: Sequence[Call]) -> list[Any]:
    """The answers of several scripts, one after the other, in one round trip; each is atomic, all of them are not."""
    pipe = db.client.pipeline(transaction=False)
    for each, keys, arguments in calls:
        pipe.execute_command("EVALSHA", each.sha, len(keys), *keys, *arguments)  # type: ignore[no-untyped-call]
    answers: list[Any] = pipe.execute(raise_on_error=False) if calls else []
    for n, (each, keys, arguments) in enumerate(calls):
        if isinstance(answers[n], NoScriptError):
            answers[n] = each(keys=keys, args=arguments)
        elif isinstance(answers[n], Exception):
            raise answers[n]
    return answers


def text(value: Any) -> str | None:
    """A Redis reply as text; a missing one as ``None``."""
    return value.decode() if isinstance(value, bytes) else value


def texts(values: Any) -> list[str]:
    """A Redis reply of several values as texts."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def text_map(row: Any) -> dict[str, str]:
    """A Redis hash as texts."""
    return {name.decode(): value.decode() for name, value in row.items()}
