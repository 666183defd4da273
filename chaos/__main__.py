"""``python -m chaos``: the parts one after the other, and their reports."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaos import hosts, machine, namespaces


def main() -> int:
    options = _options()
    parts = {"machine": _machine, "hosts": _hosts}
    chosen = [options.only] if options.only else list(parts)
    good, texts = True, list[str]()
    for name in chosen:
        went_well, text = parts[name](options)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        good, texts = good and went_well, [*texts, text]
    if options.report:
        Path(options.report).write_text("\n".join(texts))
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "chaos", description="Break everything while callbacks come in; lose nothing."
    )
    parser.add_argument("--only", choices=("machine", "hosts"), help="one part; else both")
    parser.add_argument("--callbacks", type=int, help="20000 on one machine, 3500 on several hosts")
    parser.add_argument(
        "--seconds", type=float, help="how long they are sent and things are broken: 300, 110"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--durability", choices=("process", "fsync"), default="process", help="on one machine"
    )
    parser.add_argument("--report", help="a file for the report")
    return parser.parse_args()


def _machine(options: argparse.Namespace) -> tuple[bool, str]:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    verdict, text = machine.storm(
        options.callbacks or 20_000, options.seconds or 300, options.seed, options.durability, folder
    )
    return not verdict.lost, text


def _hosts(options: argparse.Namespace) -> tuple[bool, str]:
    if reason := namespaces.why_not():
        return True, f"make chaos: {hosts.TITLE}: skipped: {reason}\n"
    folder = tempfile.mkdtemp(prefix="chaos-")
    text = ""
    try:
        words = [str(options.callbacks or 3500), str(options.seconds or 110), str(options.seed), folder]
        command = namespaces.enclosed([sys.executable, "-m", "chaos.hosts", *words])
        inside = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        text = inside.stdout or f"make chaos: {hosts.TITLE}: ended early, with {inside.returncode}\n"
        return inside.returncode == 0, text
    finally:
        # What was lost leaves its traces; nothing else does.
        if hosts.LOST not in text:
            _remove(Path(folder))


def _remove(folder: Path) -> None:
    """Processes that are being ended may still write in it for a moment."""
    until = time.monotonic() + 5
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.1)


if __name__ == "__main__":
    # As Ctrl-C: what was started is ended in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
