"""The cost of the service compared with alternatives: ``make bench``. It reports ratios within one run, since machines
are noisy.

Each section starts its own servers and alternates between them. The table is printed and written to ``var/bench.json``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from bench import table
from bench.options import Options

SECTIONS = (
    "accept",
    "side_by_side",
    "reads",
    "submit",
    "memory",
    "handlers",
    "waiting",
    "growth",
    "idle",
    "worst",
)


def main() -> int:
    arguments = _arguments()
    options = Options(arguments.rounds, arguments.requests, arguments.connections, arguments.stored)
    rows: list[table.Row] = []
    for name in arguments.only or SECTIONS:
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"bench.sections.{name}").measure(options)
        table.write(rows, Path("var/bench.json"))
    table.show(rows)
    return 0


def _arguments() -> argparse.Namespace:
    usual = Options()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=SECTIONS, help="these sections alone")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--requests", type=int, default=usual.requests, help="in each round of each kind")
    parser.add_argument("--connections", type=int, default=usual.connections)
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--stored", type=int, default=usual.stored, help="jobs in the section growth")
    many.add_argument(
        "--large", dest="stored", action="store_const", const=1_000_000, help="a million, which takes an hour"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
