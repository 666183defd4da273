"""The size of the measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """``requests`` in each round of each kind, over ``connections``; growth compares with ``stored`` jobs."""

    rounds: int = 5
    requests: int = 1500
    connections: int = 8
    stored: int = 10_000
