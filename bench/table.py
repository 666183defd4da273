"""The table of results with their targets. It is printed, and written to ``var/bench.json``."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``value`` is the median, ``low`` and ``high`` are the extremes of the rounds. The target ``aim`` is a
    minimum if ``at_least`` is set, else a maximum; a row without one is only shown."""

    section: str
    what: str
    value: float
    low: float
    high: float
    unit: str
    against: str = ""
    aim: float | None = None
    at_least: bool = False

    @property
    def is_met(self) -> bool | None:
        if self.aim is None:
            return None
        return self.value >= self.aim if self.at_least else self.value <= self.aim


def row(section: str, what: str, values: Sequence[float], unit: str, **more: object) -> Row:
    """A row from the values of several rounds."""
    return Row(section, what, statistics.median(values), min(values), max(values), unit, **more)  # type: ignore[arg-type]


def ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The ratio of each round; the two values of a pair were measured under the same conditions."""
    return [a / b for a, b in zip(one, other, strict=True)]


def show(rows: Sequence[Row]) -> None:
    width = max((len(each.what) for each in rows), default=0)
    section = ""
    for each in rows:
        if each.section != section:
            section = each.section
            print(f"\n{section}")
        print(
            f"  {each.what:<{width}}  {_number(each.value):>9} {each.unit:<9} {_spread(each):<19} {_aim(each)}"
        )


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the table as JSON, with the machine and its load."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    document = {"machine": machine, "rows": [asdict(each) | {"is_met": each.is_met} for each in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _spread(each: Row) -> str:
    return "" if each.low == each.high else f"({_number(each.low)} to {_number(each.high)})"


def _aim(each: Row) -> str:
    parts = [f"of {each.against}"] if each.against else []
    if each.aim is not None:
        parts.append(f"aim: at {'least' if each.at_least else 'most'} {each.aim:g}")
        parts.append("met" if each.is_met else "NOT MET")
    return ", ".join(parts)
