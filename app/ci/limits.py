"""How much structure we read before we call a body an attack. The size in bytes is the receiver's to cap."""

from typing import NamedTuple

from app.ci.refused import Refused


class Limits(NamedTuple):
    """Caps on one body; one that exceeds them is refused as ``too_complex``."""

    depth: int
    """Nested nodes. CI's deepest published callback has 8, its deepest answer (a workflow topology) 9."""
    nodes: int
    """Values of any kind, the containers included."""
    details: int
    """Jobs in one body."""


CALLBACK = Limits(depth=64, nodes=50_000, details=100)
"""A stranger's body. At MAX_BODY (1 MiB) a real payload has some 30 bytes a node, so 35,000 nodes; the
cheapest node an attacker can write has 2 to 4 bytes, so an attack is cut off at a fifth of what it could
be. A multi-operation submit has at most 6 operations, so 100 details leaves room for a batch."""

ANSWER = Limits(depth=64, nodes=1_000_000, details=1_000)
"""CI's own answer over the signed API: a page of 100 jobs, each with as much detail as a callback."""


def too_complex(limits: Limits) -> Refused:
    """What both formats answer to a body with more structure than any callback has."""
    return Refused(
        "too_complex",
        f"Found too much structure; expected at most {limits.depth} levels and {limits.nodes} nodes",
    )
