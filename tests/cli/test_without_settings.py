"""Without settings, the commands of a checkout use the stack of ``make run``."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from flask.cli import FlaskGroup

from app import create_app
from app.settings import Settings
from tests.cli.shell import NO_STORE, REFUSED, SUBMIT
from workers.handlers_command import group as handlers

NAMES = {name.upper() for name in Settings.model_fields}
COMMANDS = (
    ("jobs", "list"), ("jobs", "show", "j1"), ("jobs", "history", "j1"), ("jobs", "export"), ("failures", "list"),
    ("refusals", "list"), ("queues", "list"), ("keys", "list"), ("keys", "create", "me"), ("spool", "list"),
    ("callback-url",), ("callback-url", "list"), ("lanes", "list"), ("doctor",), ("trigger", "VoiceSeparate"), SUBMIT,
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.settings.loading.STACK_ENV", tmp_path / "stack.env")
    for name in list(os.environ):
        if name.removesuffix("_FILE") in NAMES:
            monkeypatch.delenv(name)


def flask(*arguments: str) -> Result:
    return CliRunner().invoke(
        FlaskGroup(create_app=create_app, load_dotenv=False), list(arguments), prog_name="flask"
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_that_the_stack_is_not_running_and_what_to_type(command: tuple[str, ...]) -> None:
    """And names no setting: a checkout needs none."""
    done = flask(*command)
    assert (done.exit_code, done.stdout) == (NO_STORE, "")
    assert "The stack of this checkout is not running. Start it with: make run" in done.stderr
    assert not [name for name in NAMES if f"{name}:" in done.stderr]


def test_the_command_for_handlers_says_the_same() -> None:
    """It is another program."""
    done = CliRunner().invoke(handlers, ["list"])
    assert (done.exit_code, done.stdout) == (NO_STORE, "")
    assert "make run" in done.stderr


@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_URL_FILE", "PUBLIC_URL", "LOG_LEVEL"])
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_with_one_setting_the_missing_ones_are_named(
    name: str, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One setting, in the environment or in a file, makes it a deployment; the stack does not matter then."""
    (tmp_path / "url").write_text("redis://127.0.0.1:1")
    value = {"REDIS_URL_FILE": str(tmp_path / "url"), "LOG_LEVEL": "INFO"}.get(name, "redis://127.0.0.1:1")
    if where == "environment":
        monkeypatch.setenv(name, value)
    else:
        (tmp_path / ".env").write_text(f"{name}={value}\n")
    done = flask("jobs", "list")
    assert done.exit_code == REFUSED
    assert "COS_BUCKET: is missing" in done.stderr
    assert "is not running" not in done.stderr


def test_without_make_run_the_missing_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An image and an installed package have no `make run`."""
    monkeypatch.setattr("app.settings.loading._STACK", tmp_path / "stack")
    done = flask("jobs", "list")
    assert done.exit_code == REFUSED
    assert "REDIS_URL: is missing" in done.stderr


def test_help_needs_no_settings() -> None:
    """It is the first thing that a user types."""
    for command in ((), ("jobs",), ("submit", "voice-separate"), ("doctor",)):
        done = flask(*command, "--help")
        assert (done.exit_code, done.stderr) == (0, "")
        assert click.unstyle(done.stdout).startswith("Usage: flask")
