"""Which of a VoiceSeparate job's files is which part: found by name, since CI's order varies."""

import re
from typing import Any, NamedTuple

from app.ci.bounds import BOUNDS
from app.ci.incoming.fields import text

ROLES = {"Object": "background", "AuObject": "vocals", "BassObject": "bass", "DrumObject": "drums"}
"""The keys of ``Operation.Output``, and the role of the file that each names."""

_KNOWN = re.compile(r"\$\{(jobid|runid)\}", re.IGNORECASE)
_WILDCARD = re.compile(r"\$\{\w+\}")


class _Pattern(NamedTuple):
    role: str
    parts: list[list[str]]
    """The key split at ``/``, and each part split at its unknown wildcards."""
    length: int
    """Number of literal characters; of two patterns that fit, the one with more is meant."""


class Roles:
    """The role of an object key, by the names in ``Operation.Output``.

    Of the wildcards in these (CI's pages vary their case) ``${jobid}`` and ``${RunId}`` are filled in; ``${ext}``, and
    any other, matches one or more characters without ``/``.
    """

    def __init__(self, output: dict[str, Any], job_id: str, run_id: str | None) -> None:
        if run_id and len(run_id) > BOUNDS["workflow.run_id"]:
            run_id = None
        self._exact: dict[str, str] = {}
        self._patterns: list[_Pattern] = []
        for name, role in ROLES.items():
            key = text(output.get(name))
            if not key or len(key) > BOUNDS["outputs.object"]:
                continue
            if "${" in key:
                key = filled(key, job_id, run_id)
            key = key.removeprefix("/")
            if _WILDCARD.search(key):
                self._patterns.append(_pattern(role, key))
            else:
                self._exact.setdefault(key, role)
        self._patterns.sort(key=lambda pattern: -pattern.length)

    def of(self, key: str) -> str | None:
        """The role of this key: by its exact name, else by the most specific pattern that fits, else ``None``."""
        if key in self._exact or not self._patterns:
            return self._exact.get(key)
        parts = key.split("/")
        return next((pattern.role for pattern in self._patterns if _fits(pattern.parts, parts)), None)


def filled(key: str, job_id: str, run_id: str | None) -> str:
    """The key with the wildcards filled in of which we know the value."""
    known = {"jobid": job_id, "runid": run_id}
    return _KNOWN.sub(lambda found: known[found[1].lower()] or found[0], key)


def _pattern(role: str, key: str) -> _Pattern:
    parts = [_WILDCARD.split(part) for part in key.split("/")]
    return _Pattern(role, parts, sum(len(literal) for part in parts for literal in part))


def _fits(parts: list[list[str]], key: list[str]) -> bool:
    return len(parts) == len(key) and all(_part_fits(*pair) for pair in zip(parts, key, strict=True))


def _part_fits(literals: list[str], name: str) -> bool:
    """Whether the name contains these literals in order, with one character or more between each two.

    Not a regular expression, because its backtracking on a stranger's ``${a}${a}${a}…`` would take years.
    """
    first, *middle = literals
    if not middle:
        return name == first
    last = middle.pop()
    if not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for literal in middle:
        found = name.find(literal, at + 1, end)
        if found < 0:
            return False
        at = found + len(literal)
    return at < end
