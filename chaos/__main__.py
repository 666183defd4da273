"""``python -m chaos``: runs the parts one after the other and prints their reports."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaos import hosts, machine
from chaos.hosts import namespaces


def main() -> int:
    options = _options()
    parts = {"machine": _machine, "hosts": _hosts}
    chosen = [options.only] if options.only else list(parts)
    all_passed, texts = True, list[str]()
    for name in chosen:
        passed, text = parts[name](options)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        all_passed, texts = all_passed and passed, [*texts, text]
    if options.report:
        Path(options.report).write_text("\n".join(texts))
    return 0 if all_passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "chaos", description="Inject faults while callbacks arrive, and check that nothing is lost."
    )
    parser.add_argument("--only", choices=("machine", "hosts"), help="run one part; default: both")
    parser.add_argument("--callbacks", type=int, help="20000 on one machine, 3500 on several hosts")
    parser.add_argument(
        "--seconds",
        type=float,
        help="duration of sending and of faults; default 300 on one machine, 110 on several hosts",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--durability", choices=("process", "fsync"), default="process", help="of the part on one machine"
    )
    parser.add_argument("--report", help="file to write the report to")
    return parser.parse_args()


def _machine(options: argparse.Namespace) -> tuple[bool, str]:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    verdict, text = machine.run_on_one_machine(
        options.callbacks or 20_000, options.seconds or 300, options.seed, options.durability, folder
    )
    return not verdict.lost, text


def _hosts(options: argparse.Namespace) -> tuple[bool, str]:
    if reason := namespaces.reason_unavailable():
        return True, f"make chaos: {hosts.TITLE}: skipped: {reason}\n"
    folder = tempfile.mkdtemp(prefix="chaos-")
    text = ""
    try:
        words = [str(options.callbacks or 3500), str(options.seconds or 110), str(options.seed), folder]
        command = namespaces.enclosed([sys.executable, "-m", "chaos.hosts", *words])
        inside = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        text = inside.stdout or f"make chaos: {hosts.TITLE}: ended early with exit code {inside.returncode}\n"
        return inside.returncode == 0, text
    finally:
        # After a loss the folder stays, for a look at the logs.
        if hosts.LOST not in text:
            _remove(Path(folder))


def _remove(folder: Path) -> None:
    """Retried for five seconds: processes that are ending may still write in it."""
    until = time.monotonic() + 5
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.1)


if __name__ == "__main__":
    # SIGTERM raises like Ctrl-C, so that `finally` blocks stop the processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
