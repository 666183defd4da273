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


CALLBACK = Limits(depth=64, nodes=100_000, details=100)
"""A stranger's body. CI's densest published callback has 15 bytes a node, so that one of MAX_BODY (1 MiB) has
70,000; the cheapest nodes that an attacker can write have 2 to 4 bytes, and are cut off. A multi-operation
submit has at most 6 operations, so 100 details leave room for a batch."""

ANSWER = Limits(depth=64, nodes=1_000_000, details=1_000)
"""CI's own answer over the signed API: a page of 100 jobs, each with as much detail as a callback."""


def too_complex(limits: Limits) -> Refused:
    """What both formats answer to a body with more structure than any callback has."""
    return Refused(
        "too_complex",
        f"Found too much structure; expected at most {limits.depth} levels and {limits.nodes} nodes",
    )
