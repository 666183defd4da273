"""The figures that pages are made of: rows of the bench's table, kept as ``measured.json``.

``make bench`` writes ``var/bench.json``; ``python -m docs.measured`` takes over from it the rows that pages use, those
that it has, and ``make docs`` makes the pages.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

KEPT = Path(__file__).with_name("measured.json")
NEW = Path("var/bench.json")
ACCEPT, READ, IDLE = "accepting a callback", "reading", "idle"
SUBMITTED, CALLED = (f"Redis memory of a job, {kind}" for kind in ("submitted", "called back"))
SECTIONS = (ACCEPT, READ, SUBMITTED, CALLED, IDLE)
"""How the sections of the bench's table begin that pages use."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, and what else ran there: ``load`` is the mean of a minute."""

    python: str
    cores: int
    load: float


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """A row of ``bench.table``: the median of its rounds."""

    section: str
    what: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class MeasuredTable:
    """Rows of the bench's table. Raises ``NotMeasured`` for a row that it has not."""

    machine: Machine
    rows: tuple[MeasuredRow, ...]

    def row(self, section: str, what: str) -> MeasuredRow:
        for each in self.rows:
            if (each.section.startswith(section), each.what.strip()) == (True, what):
                return each
        raise NotMeasured(
            f"docs/measured.json has no row {what!r} of {section!r}: run make bench, then python -m docs.measured"
        )

    def parts(self, section: str) -> dict[str, float]:
        """The values of the indented rows of a section, by name: what its first row consists of."""
        return {
            each.what.strip(): each.value
            for each in self.rows
            if each.section.startswith(section) and each.what.startswith(" ")
        }


class NotMeasured(LookupError):
    """The bench has no such row, or no longer."""


def table(path: Path = KEPT) -> MeasuredTable:
    return msgspec.json.decode(path.read_bytes(), type=MeasuredTable)


def take_over(new: Path, kept: Path, sections: tuple[str, ...]) -> None:
    """The rows of these sections in ``new`` replace those in ``kept``; sections that were not measured stay."""
    found = table(new)
    rows = [each for each in found.rows if each.section.startswith(sections)]
    measured = {each.section for each in rows}
    if kept.exists():
        rows += [each for each in table(kept).rows if each.section not in measured]
    rows.sort(key=lambda each: each.section)
    text = msgspec.json.format(msgspec.json.encode(MeasuredTable(found.machine, tuple(rows))), indent=1)
    kept.write_bytes(text + b"\n")


if __name__ == "__main__":
    if not NEW.exists():
        sys.exit(f"{NEW} is not there: run make bench first.")
    take_over(NEW, KEPT, SECTIONS)
