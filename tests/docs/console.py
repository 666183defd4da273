"""Runs a page of the docs as its reader would: the commands of its ``console`` blocks, and the files that it shows.

- `` ```console ``: each line that begins with ``$`` is a command. It must print the lines below it, in this order;
  ``…`` matches any text. A command must succeed, unless ``# exit 3`` behind it names another code.
- `` ```console title="terminal: NAME" ``: a program that keeps running in a terminal of its own. The page
  goes on when the program has printed these lines; ``^C`` ends it.
- `` ```LANGUAGE title="FILE" ``: a file with this content.
- ``<!-- not run: WHY -->`` before a block: only shown.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from harness.servers import PATIENCE_S, eventually

_FENCE = re.compile(r"^( *)```+\s*(\w+)?(?:\s+title=\"([^\"]+)\")?.*$")
_NOT_RUN = re.compile(r"^ *<!-- not run: .+ -->$")
_END = "=end-of-command="
_EXIT = re.compile(r"\s# exit (\d+)$")
_ONLY_READS = re.compile(
    r"(\.venv/bin/)?(curl (?!.*(-X|-d|--data))|flask (doctor|\w+ (list|show|history|wait))"
    r"|redis-cli .*\b(info|get|ping|sentinel))"
)
"""Commands that only read: they are repeated until they print what the page shows."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command and the lines that it prints; ``^C`` has none."""

    command: str
    lines: tuple[str, ...]
    exit_code: int | None = 0

    def is_done(self, code: int) -> bool:
        return self.exit_code in {None, code}


@dataclass(frozen=True, slots=True)
class Block:
    """``language`` and ``title`` of a fence, its text, the heading above it, and whether it is run or only shown."""

    language: str
    title: str
    text: str
    heading: str
    line: int
    is_run: bool

    def steps(self) -> Iterator[Step]:
        """The steps of a console block. Raises ValueError for output without a command."""
        command, lines = "", list[str]()
        for line in self.text.splitlines():
            if command.endswith("\\"):
                command = f"{command[:-1]}{line.strip()}"
            elif line.startswith("$ ") or line == "^C":
                if command:
                    yield _step(command, lines)
                command, lines = line.removeprefix("$ "), []
            elif not command:
                raise ValueError(f"line {self.line}: {line!r} is the output of no command")
            else:
                lines.append(line)
        if command:
            yield _step(command, lines)


def _step(command: str, lines: list[str]) -> Step:
    code = _EXIT.search(command)
    said = tuple(line for line in lines if line.strip() not in {"", "…"})
    if code:
        return Step(_EXIT.sub("", command), said, int(code[1]))
    # Doctor also reports what a page has not started yet, so its exit code does not count.
    return Step(command, said, None if re.search(r"flask doctor$", command) else 0)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found, lines = list[Block](), page.read_text().splitlines()
    number, heading = 0, ""
    while number < len(lines):
        start = _FENCE.match(lines[number])
        if start:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip().startswith("```"))
            before = next((each for each in reversed(lines[:number]) if each.strip()), "")
            text = "\n".join(line.removeprefix(start[1]) for line in lines[number + 1 : end])
            is_run = not _NOT_RUN.match(before)
            found.append(Block(start[2] or "", start[3] or "", text, heading, number + 1, is_run))
            number = end
        elif lines[number].startswith("#"):
            heading = lines[number].lstrip("# ")
        number += 1
    return found


@dataclass
class Reader:
    """Follows a page in a folder, with an environment; ``instead`` replaces texts of the page, such as a port that is
    in use on this machine."""

    folder: Path
    environment: Mapping[str, str]
    instead: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._seen: dict[str, str] = {}  # outputs of commands that only read, since the last other one
        self._terminals: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._transcript = self.folder.parent / f"{self.folder.name}-terminals"
        self._transcript.mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, _ in self._terminals.values():
            _end(process, signal.SIGTERM)
        self._stdin.close()
        _end(self._shell, signal.SIGTERM)

    def follow(self, page: Path, at: Mapping[str, Callable[[], object]]) -> int:
        """Follow the page and return how many commands were run. Raises AssertionError if an output differs.
        ``at``: a function to call when the reader reaches a heading."""
        count, happens = 0, dict(at)
        for block in blocks(page):
            if not block.is_run:
                continue
            happens.pop(block.heading, lambda: None)()
            where = f"{page.name}:{block.line}"
            if block.language == "console":
                for step in block.steps():
                    count += 1
                    self._do(step, block.title.removeprefix("terminal: ") if block.title else "", where)
            elif block.title:
                file = self.folder / block.title
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self._here(block.text) + "\n")
        assert not happens, f"{page.name} has no heading {', '.join(happens)} with something to do"
        return count

    def _do(self, step: Step, terminal: str, where: str) -> None:
        if terminal:
            self._seen.clear()
        if step.command == "^C":
            process, _ = self._terminals.pop(terminal)
            _end(process, signal.SIGINT)
        elif terminal:
            self._open(terminal, step, where)
        else:
            self._run(step, where)

    def _run(self, step: Step, where: str) -> None:
        command = self._here(step.command)
        if command in self._seen and self._difference(step, self._seen[command]) is None:
            return
        if not _ONLY_READS.match(command):
            self._seen.clear()
        until = time.monotonic() + PATIENCE_S
        while True:
            code, said = self.say(command)
            wrong = self._difference(step, said)
            if step.is_done(code) and wrong is None:
                if _ONLY_READS.match(command):
                    self._seen[command] = said
                return
            if not _ONLY_READS.match(command) or time.monotonic() > until:
                break
            time.sleep(1.0)
        logs = "\n".join(
            f"--- {name}\n{log.read_text()[-3000:]}" for name, (_, log) in self._terminals.items()
        )
        assert step.is_done(code), f"{where}: `{command}` exits with {code}:\n{said}\n{logs}"
        raise AssertionError(f"{where}: `{command}` does not print {wrong!r}:\n{said}\n{logs}")

    def say(self, command: str) -> tuple[int, str]:
        """Run a command in the reader's shell; return its exit code and its output."""
        self._stdin.write(f"eval {shlex.quote(command)} </dev/null; printf '\\n{_END} %s\\n' $?\n")
        self._stdin.flush()
        said = list[str]()
        assert self._shell.stdout is not None
        for line in self._shell.stdout:
            if line.startswith(_END):
                return int(line.split()[1]), "".join(said).strip()
            said.append(line)
        raise AssertionError(f"`{command}` has ended the shell:\n{''.join(said)}")

    def _open(self, terminal: str, step: Step, where: str) -> None:
        log = self._transcript / f"{len(list(self._transcript.iterdir()))}-{terminal.replace('/', '-')}"
        folder = self.say("pwd")[1]
        variables = dict(line.split("=", 1) for line in self.say("env -0")[1].split("\0") if "=" in line)
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {self._here(step.command)}"],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._terminals[terminal] = (process, log)
        # Reap a program that has ended, as the shell of a terminal does: `kill -0` must not find it.
        threading.Thread(target=process.wait, daemon=True).start()
        eventually(
            lambda: (
                process.poll() is not None or self._difference(step, log.read_text(errors="replace")) is None
            ),
            lambda: f"{where}: `{step.command}`: {log.read_text(errors='replace')[-4000:]}",
        )
        assert process.poll() is None, f"{where}: `{step.command}` has ended: {log.read_text()}"

    def _difference(self, step: Step, said: str) -> str | None:
        """The first expected line that is missing or out of order."""
        left = iter(said.splitlines())
        for line in map(self._here, step.lines):
            pattern = re.compile(".*".join(map(re.escape, re.split(r"\s*…\s*", line.strip()))))
            if not any(pattern.search(each) for each in left):
                return line
        return None

    def _here(self, text: str) -> str:
        for theirs, ours in self.instead.items():
            text = text.replace(theirs, ours)
        return text

    @property
    def _stdin(self) -> IO[str]:
        assert self._shell.stdin is not None
        return self._shell.stdin


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str], number: signal.Signals) -> None:
    """Send the signal as a person would, then kill all that is left of the session."""
    if process.poll() is None:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
