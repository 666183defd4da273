"""How much structure we read before we call a body an attack. The size in bytes is the receiver's to cap."""

from typing import NamedTuple

from app.ci.refused import Refused


class Limits(NamedTuple):
    """Caps on one body; one that exceeds them is refused as ``too_complex``."""

    depth: int
    """Nested nodes. CI's deepest published callback has 7, its deepest answer (a workflow topology) 9."""
    nodes: int
    """Values of any kind, the containers included."""
    details: int
    """Jobs in one body."""
    repeated: int
    """Characters that records may repeat: one prefix, bucket or event name stands in each output or job."""


CALLBACK = Limits(depth=64, nodes=100_000, details=100, repeated=8 * 2**20)
"""A stranger's body. CI's densest published callback has 15 bytes a node, so that one of MAX_BODY (1 MiB) has
70,000; the cheapest nodes that an attacker can write have 2 to 4 bytes, and are cut off. A multi-operation
submit has at most 6 operations, so 100 details leave room for a batch. A body full of names of
snapshots makes a record of 8 MiB; one with a long prefix before each could make gigabytes."""

ANSWER = Limits(depth=64, nodes=1_000_000, details=1_000, repeated=64 * 2**20)
"""CI's own answer over the signed API: a page of 100 jobs, each with as much detail as a callback."""


class Budget:
    """What is left of ``Limits.repeated`` while one body is read."""

    def __init__(self, limits: Limits) -> None:
        self._left = limits.repeated

    def spend(self, characters: int) -> None:
        """Raises Refused where records would grow out of proportion to the body that they come from."""
        self._left -= characters
        if self._left < 0:
            raise Refused(
                "too_complex", "Found names repeated over and over; expected a record of some megabytes"
            )


def too_complex(limits: Limits) -> Refused:
    """What both formats answer to a body with more structure than any callback has."""
    return Refused(
        "too_complex",
        f"Found too much structure; expected at most {limits.depth} levels and {limits.nodes} nodes",
    )
