"""``python -m workers.health [web|worker|relay]``: is the process of this container healthy? Exit code and one line.

For containers with and without HTTP. Without an argument it checks whichever of our processes runs here. While Redis is
away the line says so and the code is 0, because a restart would not help. It imports only the standard library: a
container runs it every few seconds.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Role = Literal["web", "worker", "relay"]
_BACKGROUND: tuple[Role, ...] = ("relay", "worker")
FRESH_S = 30.0
"""Seconds since its last report after which a process counts as hanging."""
BEAT_S = 4.0


class HealthReport(NamedTuple):
    """Whether it is healthy, and a line about it."""

    is_well: bool
    line: str


class ForeignFolder(PermissionError):
    """Other users of the machine could plant reports in the folder, or links that a report would overwrite."""


def report_here(role: Role, line: str) -> None:
    """Report that this process is healthy; ``line`` describes its state. A folder that is unwritable or
    foreign is ignored here: the check finds no report, and names the folder."""
    try:
        _folder().mkdir(mode=0o700, exist_ok=True)
        path = _own_folder() / f"{role}-{os.getpid()}"
        if not path.exists():
            _reports(role)  # removes what dead processes left
        unnamed = path.with_suffix(".new")
        # All processes of a machine share the monotonic clock, and it is never set.
        _write_new(unnamed, f"{time.monotonic()} {line}")
        unnamed.rename(path)
    except OSError:
        return


def check_role(role: Role | None) -> HealthReport:
    """The result of the command for that role."""
    try:
        if role is None:
            running: list[Role] = [each for each in _BACKGROUND if _reports(each)]
            role = running[0] if running else "web"
        return _web() if role == "web" else _process(role)
    except ForeignFolder as error:
        return HealthReport(False, f"{role or 'health'}: {error}")


def _process(role: Role) -> HealthReport:
    found = _reports(role)
    if not found:
        return HealthReport(False, f"{role}: no process reports to {_folder()}; is it running?")
    age, line = min(found)
    if age > FRESH_S:
        return HealthReport(False, f"{role}: has not reported for {age:.0f} s; it hangs, restart it")
    return HealthReport(True, f"{role}: {line}")


def _reports(role: str) -> list[tuple[float, str]]:
    """The reports of live processes: seconds since each, and its line. Raises ``ForeignFolder``."""
    found = []
    for path in _own_folder().glob(f"{role}-*[0-9]"):
        pid = int(path.name.rpartition("-")[2])
        if not _is_alive(pid):
            path.unlink(missing_ok=True)
            continue
        at, _, line = path.read_text().partition(" ")
        found.append((time.monotonic() - float(at), line))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _web() -> HealthReport:
    host = os.environ.get("HOST", "127.0.0.1")
    address = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host
    url = f"http://{address}:{os.environ.get('PORT', '8000')}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=3):
            return HealthReport(True, f"web: {url} answers")
    except OSError as error:
        return HealthReport(
            False,
            f"web: {url} does not answer ({error}); is it running, and are HOST and PORT the same here?",
        )


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"ci-callback-receiver-{os.getuid()}"


def _own_folder() -> Path:
    """The folder, which is missing or this user's alone. Raises ``ForeignFolder``: its name can be guessed, and in a
    shared temporary folder another user may make it first."""
    folder = _folder()
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return folder
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    raise ForeignFolder(
        f"{folder} is not a folder that only this user can write: remove it, or set TMPDIR to another folder"
    )


def _write_new(path: Path, text: str) -> None:
    """A new file, through no link. One of this name is a report that an earlier process did not finish."""
    path.unlink(missing_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(opened, "w") as file:
        file.write(text)


def main(arguments: Sequence[str]) -> int:
    """0: healthy; 1: not healthy; 2: wrong usage."""
    roles: dict[str, Role] = {"web": "web", "worker": "worker", "relay": "relay"}
    if len(arguments) > 1 or (arguments and arguments[0] not in roles):
        sys.stderr.write("usage: python -m workers.health [web|worker|relay]\n")
        return 2
    found = check_role(roles[arguments[0]] if arguments else None)
    sys.stdout.write(f"{found.line}\n")
    return 0 if found.is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
