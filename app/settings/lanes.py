"""``LANES``: how many processes serve a lane, and what its handlers may use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

DEFAULT_LANE: Final = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_OPTIONS = ("processes", "memory")
_MOST = 64
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class Lane(Struct, frozen=True):
    """``processes``: how many processes of one ``python -m workers.worker`` serve it (``None``: its share of
    WORKER_PROCESSES). ``memory``: bytes by which the process of a handler may grow (``None``: HANDLER_MEMORY)."""

    name: str
    processes: int | None = None
    memory: int | None = None

    @classmethod
    def parse(cls, text: str) -> Lane:
        """``name`` or ``name:processes=2;memory=1GiB``. Raises ValueError with a message for the operator."""
        name, _, rest = text.partition(":")
        if not is_lane_name(name):
            raise ValueError(
                f"{name!r} is not a name of a lane: lower-case letters, digits, - and _, at most 32"
            )
        given = dict(part.strip().partition("=")[::2] for part in rest.split(";") if part.strip())
        if unknown := set(given) - set(_OPTIONS):
            raise ValueError(f"{name}: a lane has {' and '.join(_OPTIONS)}, not {sorted(unknown)[0]!r}")
        return cls(name, _processes(name, given.get("processes")), _memory(name, given.get("memory")))

    def __str__(self) -> str:
        options = [f"processes={self.processes}"] if self.processes else []
        options += [f"memory={self.memory}"] if self.memory else []
        return f"{self.name}:{';'.join(options)}" if options else self.name


def is_lane_name(name: str) -> bool:
    return bool(_NAME.match(name))


def distinct_lanes(lanes: Iterable[Lane]) -> tuple[Lane, ...]:
    """The lanes; ValueError if one is named twice."""
    found = tuple(lanes)
    if len({each.name for each in found}) < len(found):
        raise ValueError("a lane is named twice")
    return found


def _processes(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isdecimal() or not 1 <= int(value) <= _MOST:
        raise ValueError(f"{name}: processes is a number from 1 to {_MOST}, not {value!r}")
    return int(value)


def _memory(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    match = _SIZE.match(value.strip())
    if match is None or not int(match[1]):
        raise ValueError(f"{name}: memory is a size such as 512MiB, not {value!r}")
    return int(match[1]) * _UNITS[(match[2] or "").lower()]
