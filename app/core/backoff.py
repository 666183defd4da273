"""Back-off: pauses that double after each failure, up to a limit, with jitter so that many waiters spread out.

A pause is never much shorter than planned: CI and downstream endpoints count on it.
"""

from __future__ import annotations

import random

_JITTER = 0.2
"""A pause is up to this fraction shorter or longer."""


def delay(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after that many failures in a row (1 or more): ``doubled``, with jitter."""
    return jittered(doubled(failures, first, longest))


def doubled(failures: int, first: float, longest: float) -> float:
    """``first`` after one failure, twice as long after each further one, at most ``longest``; without jitter."""
    return min(first * 2.0 ** min(max(failures, 1) - 1, 40), longest)


def delays(first: float, longest: float) -> list[float]:
    """``delay`` after 1, 2, … failures, up to the first that has reached ``longest``: for scripts, which count
    failures themselves."""
    found, failures = [], 1
    while doubled(failures, first, longest) < longest:
        found.append(delay(failures, first, longest))
        failures += 1
    return [*found, delay(failures, first, longest)]


def jittered(seconds: float) -> float:
    """The same pause, a little shorter or longer."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, guards nothing
