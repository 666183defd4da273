"""Find the browser that the tests of the pages need, or install it, or print one line that names it.

``make test`` runs ``python -m tests.browser`` first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
)  # fmt: skip
"""The headless shell comes first: with it the tests of the pages need half of the processor time."""
PACKAGES = ("chromium-headless-shell", "chromium")
"""Debian packages; the first is not in every release."""


def find() -> str | None:
    """The path of a browser: CHROMIUM, or the first of the usual names."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def install(package: str, purpose: str) -> None:
    """Try to install it with apt, as root; the caller checks the result."""
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        sys.stdout.write(f"installing {package} for {purpose} …\n")
        for step in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run([apt, *step], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def main() -> int:
    if find():
        return 0
    for package in PACKAGES:
        install(package, "the tests of the pages")
        if find():
            return 0
    sys.stderr.write(
        "The tests of the pages need a browser: install the package `chromium`, "
        "or name one in the environment: CHROMIUM=/path/to/it\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
