"""How the processes of one worker are divided among its lanes."""

from __future__ import annotations

from collections.abc import Sequence

from app.settings import Settings
from app.settings.lanes import DEFAULT_LANE


def divided(chosen: Settings, lanes: Sequence[str]) -> dict[str, int]:
    """Processes by lane: the number that LANES names, and for other lanes an equal share of the rest of
    WORKER_PROCESSES, at least one. The default lane gets the remainder."""
    fixed = {each.name: each.processes for each in chosen.lanes if each.processes and each.name in lanes}
    open_lanes = sorted((name for name in lanes if name not in fixed), key=lambda name: name != DEFAULT_LANE)
    left = max(chosen.worker_processes - sum(fixed.values()), len(open_lanes))
    share, more = divmod(left, len(open_lanes)) if open_lanes else (0, 0)
    return fixed | {name: share + (n < more) for n, name in enumerate(open_lanes)}


def memory_of(chosen: Settings, lane: str) -> int | None:
    """Bytes by which the process of a handler in that lane may grow; ``None`` for no limit."""
    own = next((each.memory for each in chosen.lanes if each.name == lane), None)
    return own or chosen.handler_memory
