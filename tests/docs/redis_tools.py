"""Find ``redis-cli``, which the how-tos use, or install it, or print one line that names it.

``make test`` runs ``python -m tests.docs.redis_tools`` first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def main() -> int:
    if shutil.which("redis-cli"):
        return 0
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        sys.stdout.write("installing redis-tools for the tests of the docs …\n")
        for step in (["update"], ["install", "-y", "--no-install-recommends", "redis-tools"]):
            subprocess.run([apt, *step], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if shutil.which("redis-cli"):
            return 0
    sys.stderr.write("The tests of the docs need redis-cli: install the package `redis-tools`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
