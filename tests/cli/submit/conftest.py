"""``flask`` commands with the emulator as CI, in a bucket of each test's own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from app import create_app
from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey, as_environment
from harness.settings import make_settings

ONE = (
    "--input-object",
    "in/talk.mp3",
    "--audio-mode",
    "IsAudio",
    "--codec",
    "mp3",
    "--au-object",
    "out/${jobid}.mp3",
)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Flask = Callable[..., Ran]


def command(settings: Settings, *arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment to start a command with."""
    variables = os.environ | as_environment(settings) | environment
    return [sys.executable, "-m", "flask", *arguments], variables


@pytest.fixture
def ci(emulator: Emulator) -> Emulated:
    return Emulated(emulator.url)


@pytest.fixture
def settings(valkey: Valkey, ci: Emulated) -> Settings:
    return make_settings(
        valkey.url, ci_endpoint=ci.url, cos_bucket=ci.bucket, public_url="http://127.0.0.1:9"
    )


@pytest.fixture
def flask(settings: Settings) -> Flask:
    """Run a command to its end in this process, since a new process takes longer. Settings can be changed."""

    def run(*arguments: str, stdin: str | None = None, **changes: Any) -> Ran:
        app = create_app(settings.model_copy(update=changes))
        done = app.test_cli_runner().invoke(args=list(arguments), input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return Ran(done.exit_code, done.stdout, done.stderr)

    return run
