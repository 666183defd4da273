"""Plan and evaluation of the part on several hosts; ``make chaos`` runs the part itself."""

from __future__ import annotations

import random
import sys

import pytest

from chaos import __main__ as command
from chaos.hosts import namespaces
from chaos.hosts.network import Host
from chaos.hosts.rounds import Fault, outages, rounds
from chaos.plan import Message
from chaos.sender import Acknowledgement

ONE, TWO, REDIS = Host("receiver-1", 14), Host("receiver-2", 15), Host("redis-1", 11)
PARTITION = Fault("partitioned", REDIS, ONE, announced=99.5, began=100.0, ended=118.0)


def answer(host: Host, outcome: str, began: float) -> Acknowledgement:
    return Acknowledgement(Message(1, "j1", "Success", b"{}"), outcome, host.front, began, began + 0.1)


def test_without_namespaces_the_part_is_skipped_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the reason, and no failure: not every machine can."""
    monkeypatch.setattr(namespaces, "tool", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["chaos", "--only", "hosts"])
    assert command.main() == 0
    assert capsys.readouterr().out.strip() == (
        "make chaos: several hosts: skipped: unshare and ip and mount: not installed"
    )


def test_the_same_seed_makes_the_same_rounds() -> None:
    """A run can be repeated."""
    assert rounds(110, random.Random(7)) == rounds(110, random.Random(7))


def test_a_receiver_is_in_time_when_it_accepts_again_soon() -> None:
    """Counted from the fault to the end of a request that began after it; ``spooled`` is not accepted."""
    answers = [answer(TWO, "accepted", 99.9), answer(TWO, "spooled", 101.0), answer(TWO, "accepted", 105.0)]
    two = outages([PARTITION], [TWO], answers)[0]
    assert two.back_s == pytest.approx(5.1)
    assert two.spooled_until_s == 1.0
    assert two.in_time


@pytest.mark.parametrize("answers", [[], [answer(TWO, "spooled", 101.0)], [answer(TWO, "accepted", 116.0)]])
def test_a_receiver_that_accepts_again_late_or_never_is_not_in_time(answers: list[Acknowledgement]) -> None:
    """15 s is the limit."""
    assert not outages([PARTITION], [TWO], answers)[0].in_time


def test_a_receiver_isolated_with_the_primary_has_no_limit() -> None:
    """No server on that side of the partition can store anything durably."""
    assert outages([PARTITION], [ONE], [])[0].in_time
