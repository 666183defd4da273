"""Loads the Lua scripts of the application by name; names are unique."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from app.redis.connection import as_write_refusal, exchange

Call = tuple[Script, list[str], list[Any]]
"""A script, its keys, its arguments."""

_FILES = {path.stem: path for path in Path(__file__).parents[1].rglob("*.lua")}


@cache
def _source(name: str) -> str:
    return _FILES[name].read_text(encoding="utf-8")


def script(client: Redis, *names: str) -> Script:
    """The concatenated script of these files; sent by hash, or by text if the server does not know it (EVALSHA)."""
    return client.register_script("".join(map(_source, names)))


def evalsha(client: Redis, chosen: Script, arguments: Sequence[Any]) -> Any:
    """The script's answer. As ``chosen()``, without the client library's layers above one command."""
    try:
        return client.execute_command("EVALSHA", chosen.sha, 0, *arguments)  # type: ignore[no-untyped-call]
    except NoScriptError:
        return chosen(args=arguments)


def in_turn(client: Redis, calls: Sequence[Call]) -> list[Any]:
    """The answers of several scripts, sent in order in one round trip. Each is atomic, the sequence is not: a script
    whose hash the server does not know yet runs after the others."""
    commands = [("EVALSHA", each.sha, len(keys), *keys, *arguments) for each, keys, arguments in calls]
    answers = exchange(client, commands) if calls else []
    for n, (each, keys, arguments) in enumerate(calls):
        if isinstance(answers[n], NoScriptError):
            answers[n] = each(keys=keys, args=arguments)
        elif isinstance(answers[n], Exception):
            raise as_write_refusal(answers[n])
    return answers


def decoded(value: Any) -> str | None:
    """A Redis reply as text; a missing one as ``None``."""
    return value.decode() if isinstance(value, bytes) else value


def decoded_all(values: Any) -> list[str]:
    """A Redis reply of several values as texts."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def text_map(row: Any) -> dict[str, str]:
    """A Redis hash as texts."""
    return {name.decode(): value.decode() for name, value in row.items()}
