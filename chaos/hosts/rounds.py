"""Faults of the primary, and how long each receiver accepts nothing afterwards."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.calm import until
from chaos.hosts.cluster import Cluster
from chaos.hosts.network import Host, VirtualNetwork
from chaos.sender import Acknowledgement

BACK_WITHIN_S = 15.0
_HEALTHY_S = 30

FaultKind = Literal["killed", "partitioned", "separated"]
"""``killed``: the host of the primary is down. ``partitioned``: the primary reaches only one receiver. ``separated``:
it reaches all hosts except the other two Redis hosts."""


@dataclass(frozen=True, slots=True)
class Round:
    """A planned fault; times in seconds from the start."""

    at: float
    seconds: float
    kind: FaultKind


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was injected; times are those of ``time.monotonic()``. ``isolated_receiver`` shares the primary's
    partition.

    A healthy primary may have answered a request that began before ``began``; a request that ended after ``announced``
    may be affected by the fault.
    """

    kind: FaultKind
    primary: Host
    isolated_receiver: Host | None
    announced: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class ReceiverOutage:
    """The effect of one fault on one receiver."""

    fault: Fault
    receiver: Host
    back_s: float | None
    """From the fault to the first request that was answered ``accepted``; None if there was none."""
    spooled_until_s: float | None
    """From the fault to the last request that was answered ``spooled``."""

    @property
    def in_time(self) -> bool:
        """Within BACK_WITHIN_S. A receiver that is isolated with the primary has no limit: nothing there is durable."""
        if self.receiver == self.fault.isolated_receiver:
            return True
        return self.back_s is not None and self.back_s < BACK_WITHIN_S


def rounds(seconds: float, chance: random.Random) -> list[Round]:
    """One of each kind, far enough apart to recover in between."""
    kinds: tuple[FaultKind, ...] = ("killed", "partitioned", "separated")
    starts = (seconds * share + chance.uniform(0, 3) for share in (0.05, 0.36, 0.67))
    return [Round(at, seconds * 0.16, kind) for at, kind in zip(starts, kinds, strict=True)]


class FaultInjector:
    """Carries out the planned rounds."""

    def __init__(
        self, network: VirtualNetwork, cluster: Cluster, receivers: Sequence[Host], chance: random.Random
    ) -> None:
        self._network, self._cluster = network, cluster
        self._receivers, self._chance = receivers, chance
        self.faults: list[Fault] = []

    def run(self, planned: Sequence[Round], over: threading.Event) -> None:
        began = time.monotonic()
        for each in planned:
            over.wait(max(0.0, began + each.at - time.monotonic()))
            # Three hosts do not survive two faults at once.
            until(
                lambda: over.is_set() or self._cluster.primary(),
                "a primary with two replicas online",
                _HEALTHY_S,
            )
            primary = self._cluster.primary()
            if over.is_set() or primary is None:
                return
            self.faults.append(self._do(each, primary, over))

    def _do(self, planned: Round, primary: Host, over: threading.Event) -> Fault:
        isolated_receiver = self._chance.choice(self._receivers) if planned.kind == "partitioned" else None
        group = [primary, isolated_receiver] if isolated_receiver else [primary]
        others = [host for host in self._cluster.hosts if host != primary]
        ways: dict[FaultKind, tuple[Callable[[], None], Callable[[], None]]] = {
            "killed": (lambda: self._cluster.kill(primary), lambda: self._cluster.start(primary)),
            "partitioned": (lambda: self._network.partition(group), lambda: self._network.reconnect(group)),
            "separated": (
                lambda: self._network.separate(primary, others),
                lambda: self._network.rejoin(primary, others),
            ),
        }
        begin, end = ways[planned.kind]
        announced = time.monotonic()
        begin()
        began = time.monotonic()
        over.wait(planned.seconds)
        end()
        return Fault(planned.kind, primary, isolated_receiver, announced, began, time.monotonic())


def outages(
    faults: Sequence[Fault], receivers: Sequence[Host], answers: Sequence[Acknowledgement]
) -> list[ReceiverOutage]:
    """The effect of each fault on each receiver, from its answers until the next fault."""
    nexts = [*(fault.announced for fault in faults[1:]), float("inf")]
    return [
        _outage(fault, receiver, [a for a in answers if fault.began <= a.began and a.ended < following])
        for fault, following in zip(faults, nexts, strict=True)
        for receiver in receivers
    ]


def _outage(fault: Fault, receiver: Host, answers: Sequence[Acknowledgement]) -> ReceiverOutage:
    own = [answer for answer in answers if answer.receiver == receiver.front]
    accepted = [answer.ended for answer in own if answer.outcome == "accepted"]
    spooled = [answer.began for answer in own if answer.outcome == "spooled"]
    return ReceiverOutage(
        fault,
        receiver,
        min(accepted) - fault.began if accepted else None,
        max(spooled) - fault.began if spooled else None,
    )
