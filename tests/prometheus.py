"""Find Prometheus and promtool, which the tests of the alerts need, or install them, or print one line that names them.

``make test`` runs ``python -m tests.prometheus`` first.
"""

from __future__ import annotations

import shutil
import sys

from tests.browser import install

MISSING = (
    "The tests of the alerts need `prometheus` and `promtool` on PATH: install the package `prometheus` "
    "(Debian, Homebrew), or unpack a release of https://prometheus.io\n"
)


def is_there() -> bool:
    return bool(shutil.which("prometheus") and shutil.which("promtool"))


def main() -> int:
    if not is_there():
        install("prometheus", "the tests of the alerts")
    if is_there():
        return 0
    sys.stderr.write(MISSING)
    return 1


if __name__ == "__main__":
    sys.exit(main())
