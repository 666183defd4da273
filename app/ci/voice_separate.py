"""Which of a VoiceSeparate job's files is the voice: told by name, since their order says nothing."""

import re
from typing import Any, NamedTuple

from app.ci.fields import text

ROLES = {"Object": "background", "AuObject": "vocals", "BassObject": "bass", "DrumObject": "drums"}
"""Where the request asked for each part to be written, and what the part is."""

_WILDCARD = re.compile(r"\$\{(\w+)\}")


class _Target(NamedTuple):
    role: str
    parts: list[list[str]]
    """The key split at ``/``, and each of these split where an unknown wildcard stands."""
    length: int
    """Characters that are given; of two targets that fit, the one that says more is meant."""


def roles(output: dict[str, Any], job_id: str, run_id: str | None) -> "Roles":
    """Read ``Operation.Output``; of its wildcards the ids are filled in, ``${ext}`` and any other fit all."""
    known = {"jobid": job_id, "runid": run_id}

    def fill(found: re.Match[str]) -> str:
        return known.get(found[1].lower()) or found[0]

    asked = {role: text(output.get(name)) for name, role in ROLES.items()}
    return Roles({role: _WILDCARD.sub(fill, key.removeprefix("/")) for role, key in asked.items() if key})


class Roles:
    """Answers which role an object key has."""

    def __init__(self, asked: dict[str, str]) -> None:
        self._exact = {key: role for role, key in reversed(asked.items())}
        self._open = sorted(
            (_target(role, key) for role, key in asked.items() if _WILDCARD.search(key)),
            key=lambda it: -it.length,
        )

    def of(self, key: str) -> str | None:
        """The role of this key: by its exact name, else by the most specific pattern, else None."""
        if key in self._exact:
            return self._exact[key]
        parts = key.split("/") if self._open else []
        return next((target.role for target in self._open if _fits(target.parts, parts)), None)


def _target(role: str, key: str) -> _Target:
    parts = [_WILDCARD.sub("\0", part).split("\0") for part in key.split("/")]
    return _Target(role, parts, sum(len(literal) for part in parts for literal in part))


def _fits(parts: list[list[str]], key: list[str]) -> bool:
    return len(parts) == len(key) and all(_part_fits(*pair) for pair in zip(parts, key, strict=True))


def _part_fits(literals: list[str], name: str) -> bool:
    """Whether these literals stand in the name in order, something between each two.

    By hand and in linear time: as a regular expression, a stranger's ``${a}${a}${a}…`` would run for years.
    """
    first, *middle = literals
    if not middle:
        return name == first
    last = middle.pop()
    if not name.startswith(first):
        return False
    at, end = len(first), len(name) - len(last)
    for literal in middle:
        found = name.find(literal, at + 1, end)
        if found < 0:
            return False
        at = found + len(literal)
    return at < end and name.endswith(last)
