"""What is done to the primary, and how long nobody accepts anything after it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.calm import until
from chaos.cluster import Cluster
from chaos.network import Host, Network
from chaos.sender import Answer

BACK_WITHIN_S = 15.0
_HEALTHY_S = 30

Kind = Literal["killed", "cut off", "parted"]
"""What happens to the primary: dead with its host; cut off from everything but one receiver; parted from the other two
Redis hosts alone, while everybody else still reaches it."""


@dataclass(frozen=True, slots=True)
class Round:
    """At about that moment, for so long."""

    at: float
    seconds: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Fault:
    """A round as it came to pass; times are those of ``time.monotonic()``. ``stranded`` is cut off too.

    What began before ``began`` may have been answered by a primary that was well; what ended after ``announced`` may
    have met the fault.
    """

    kind: Kind
    primary: Host
    stranded: Host | None
    announced: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Outage:
    """How one receiver came through one fault."""

    fault: Fault
    receiver: Host
    back_s: float | None
    """From the fault to the first request that was answered ``accepted``; none if that never came."""
    spooled_until_s: float | None
    """From the fault to the last request of it that was answered ``spooled``."""

    @property
    def in_time(self) -> bool:
        """A receiver on the primary's side of a cut has nobody to accept anything safely, and is not judged."""
        if self.receiver == self.fault.stranded:
            return True
        return self.back_s is not None and self.back_s < BACK_WITHIN_S


def rounds(seconds: float, chance: random.Random) -> list[Round]:
    """Each leaves time to come back from it before the next."""
    kinds: tuple[Kind, ...] = ("killed", "cut off", "parted")
    starts = (seconds * share + chance.uniform(0, 3) for share in (0.05, 0.36, 0.67))
    return [Round(at, seconds * 0.16, kind) for at, kind in zip(starts, kinds, strict=True)]


class Breaker:
    """Goes through the rounds."""

    def __init__(
        self, network: Network, cluster: Cluster, receivers: Sequence[Host], chance: random.Random
    ) -> None:
        self._network, self._cluster = network, cluster
        self._receivers, self._chance = receivers, chance
        self.faults: list[Fault] = []

    def run(self, planned: Sequence[Round], over: threading.Event) -> None:
        began = time.monotonic()
        for each in planned:
            over.wait(max(0.0, began + each.at - time.monotonic()))
            # Two faults at once are more than three hosts can bear.
            until(lambda: over.is_set() or self._cluster.primary(), "three hosts in step", _HEALTHY_S)
            primary = self._cluster.primary()
            if over.is_set() or primary is None:
                return
            self.faults.append(self._do(each, primary, over))

    def _do(self, planned: Round, primary: Host, over: threading.Event) -> Fault:
        stranded = self._chance.choice(self._receivers) if planned.kind == "cut off" else None
        group = [primary, stranded] if stranded else [primary]
        others = [host for host in self._cluster.hosts if host != primary]
        ways: dict[Kind, tuple[Callable[[], None], Callable[[], None]]] = {
            "killed": (lambda: self._cluster.kill(primary), lambda: self._cluster.start(primary)),
            "cut off": (lambda: self._network.cut_off(group), lambda: self._network.mend(group)),
            "parted": (
                lambda: self._network.part(primary, others),
                lambda: self._network.join(primary, others),
            ),
        }
        begin, end = ways[planned.kind]
        announced = time.monotonic()
        begin()
        began = time.monotonic()
        over.wait(planned.seconds)
        end()
        return Fault(planned.kind, primary, stranded, announced, began, time.monotonic())


def outages(faults: Sequence[Fault], receivers: Sequence[Host], answers: Sequence[Answer]) -> list[Outage]:
    """How each receiver came through each fault, from what it answered until the next one began."""
    nexts = [*(fault.announced for fault in faults[1:]), float("inf")]
    return [
        _outage(fault, receiver, [a for a in answers if fault.began <= a.began and a.ended < following])
        for fault, following in zip(faults, nexts, strict=True)
        for receiver in receivers
    ]


def _outage(fault: Fault, receiver: Host, answers: Sequence[Answer]) -> Outage:
    own = [answer for answer in answers if answer.receiver == receiver.front]
    accepted = [answer.ended for answer in own if answer.outcome == "accepted"]
    spooled = [answer.began for answer in own if answer.outcome == "spooled"]
    return Outage(
        fault,
        receiver,
        min(accepted) - fault.began if accepted else None,
        max(spooled) - fault.began if spooled else None,
    )
