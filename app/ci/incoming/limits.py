"""The most structure that is read of one body. The receiver limits its size in bytes."""

from typing import NamedTuple

from app.ci.incoming.refused import Refused


class BodyLimits(NamedTuple):
    """Caps on one body; one that exceeds them is refused as ``too_complex``."""

    depth: int
    """Nested nodes. CI's deepest published callback has 7, its deepest answer (a workflow topology) 9."""
    nodes: int
    """Values of any kind, containers and XML attributes included."""
    attributes: int
    """Attributes of one XML element. CI has none."""
    details: int
    """Jobs in one body."""
    outputs: int
    """Files in one body."""
    repeated: int
    """Characters that records may always repeat: one prefix, bucket or event name is copied into each output or job. A
    large body may repeat ``REPEATED_TIMES`` its size, so that records grow with the body, not with the product of its
    parts."""


CALLBACK = BodyLimits(depth=64, nodes=50_000, attributes=100, details=100, outputs=12_000, repeated=2**20)
"""A stranger's body. The largest that CI makes is a job of 10,000 snapshots with the MD5 of each, which has four
nodes a file; with these caps no body of 1 MiB holds the interpreter for 100 ms (``make bench`` prints the worst). A
multi-operation submit has at most 6 operations, so 100 details leave room for a batch."""

ANSWER = BodyLimits(
    depth=64, nodes=1_000_000, attributes=100, details=1_000, outputs=100_000, repeated=64 * 2**20
)
"""CI's own answer over the signed API: a page of 100 jobs, each with as much detail as a callback."""


REPEATED_TIMES = 16
"""An output of a few letters takes some 200 characters of a record."""


class Budget:
    """What is left of ``BodyLimits.repeated`` and ``BodyLimits.outputs`` while one body is read."""

    def __init__(self, limits: BodyLimits, size: int = 0) -> None:
        """``size`` is that of the body, in bytes."""
        self._limits = limits
        self._left = max(limits.repeated, REPEATED_TIMES * size)
        self._files = limits.outputs

    def spend(self, characters: int) -> None:
        """Raises ``Refused`` if records would grow out of proportion to the body that they are made from."""
        self._left -= characters
        if self._left < 0:
            raise Refused(
                "too_complex", "Found names repeated over and over; expected a record of some megabytes"
            )

    def count(self, files: int) -> None:
        """Raises ``Refused`` for more files than any job writes."""
        self._files -= files
        if self._files < 0:
            raise Refused(
                "too_complex", f"Found too many output files; expected at most {self._limits.outputs}"
            )


def too_complex(limits: BodyLimits) -> Refused:
    """The refusal of a body with more structure than any callback has."""
    return Refused(
        "too_complex",
        f"Found too much structure; expected at most {limits.depth} levels, {limits.nodes} nodes and "
        f"{limits.attributes} attributes of one of them",
    )
