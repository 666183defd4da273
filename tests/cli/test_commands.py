"""The commands: only values on standard output, meaningful exit codes, and the API's JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import ROOT, as_environment, eventually
from harness.settings import make_settings
from tests.api.stored import put
from tests.cli.shell import CI_FAULT, NO_STORE, REFUSED, SUBMIT, Shell


def test_submit_prints_the_job(ci: tuple[Shell, Emulated]) -> None:
    """The API's document of the job that CI named, bound to its submission."""
    shell, emulated = ci
    job = shell.json(*SUBMIT, "--user-data", "order-42", "--label", "a=b")
    assert job["state"] in {"Submitted", "Running", "Success"}
    assert job["submission"]["callback"] == "own"
    assert emulated.statuses() == [200]
    assert shell.json("jobs", "refresh", job["job_id"])["job_id"] == job["job_id"]


def test_a_dry_run_costs_nothing(ci: tuple[Shell, Emulated]) -> None:
    """The exact XML on standard output; nothing is sent or stored."""
    shell, emulated = ci
    said = shell.run(*SUBMIT, "--dry-run").stdout
    assert said.lstrip().startswith("<")
    assert "<Tag>VoiceSeparate</Tag>" in said
    assert emulated.requests() == []


def test_broken_rules_are_all_named(ci: tuple[Shell, Emulated]) -> None:
    shell, emulated = ci
    result = shell.run(*SUBMIT[:-2], "--samplerate", "1", "--job-level", "9", code=REFUSED)
    assert result.stdout == ""
    assert result.stderr.count("error:") >= 3
    assert emulated.requests() == []


def test_ci_s_refusal_has_its_exit_code(ci: tuple[Shell, Emulated]) -> None:
    shell, emulated = ci
    emulated.fault("error", on="submit", code="AccessDenied", status=403, message="no", times=1)
    result = shell.run(*SUBMIT, code=CI_FAULT)
    assert "AccessDenied" in result.stderr


def test_ci_away_has_its_exit_code(shell: Shell) -> None:
    put(shell.store, "j1", Input={"BucketId": "demo-1250000000", "Object": "a.mp3", "Region": "ap-chongqing"})
    for command in ("refresh", "cancel"):
        assert "CI" in shell.run("jobs", command, "j1", code=CI_FAULT).stderr


def test_cancel_asks_ci_for_the_state_afterwards(ci: tuple[Shell, Emulated]) -> None:
    shell, emulated = ci
    emulated.fault("stuck")

    def cancelled() -> Any:
        # CI cancels only what has not started, and a busy machine may be too late: then the next one.
        job = shell.json(*SUBMIT)
        arguments = ["jobs", "cancel", job["job_id"], "--json"]
        result = shell.app.test_cli_runner().invoke(args=arguments, prog_name="flask")
        return json.loads(result.stdout) if result.exit_code == 0 else None

    assert eventually(cancelled, "a job that is cancelled before it starts")["state"] == "Cancel"


def test_redis_away_has_its_exit_code() -> None:
    """One message that names the setting."""
    shell = Shell(make_settings("redis://127.0.0.1:9/0", redis_timeout="0.3"))
    for arguments in (
        ("jobs", "list"), ("jobs", "show", "j1"), ("jobs", "wait", "j1"), ("jobs", "export"), ("jobs", "replay", "j1"),
        ("jobs", "delete", "j1", "--yes"),
        ("failures", "list"), ("failures", "retry", "--all", "--yes"), ("refusals", "list"), ("refusals", "show", "x"),
        ("refusals", "retry", "x"), ("refusals", "dismiss", "x", "--reason", "y"), ("keys", "list"),
        ("keys", "create", "x"), ("callback-url", "list"), ("callback-url", "--revoke", "0123456789ab"), SUBMIT,
    ):  # fmt: skip
        result = shell.run(*arguments, code=NO_STORE)
        assert "REDIS_URL" in result.stderr, arguments
    assert shell.run("doctor", code=1).stdout


def test_every_command_explains_itself(shell: Shell) -> None:
    """``--help`` of each names what it does and each of its options."""

    def walk(command: Any, path: tuple[str, ...]) -> None:
        command = getattr(command, "command", command)  # what a `LateCommand` stands for
        said = shell.run(*path, "--help").stdout
        assert command.help or command.short_help, path
        for each in command.params:
            if each.param_type_name == "option":
                assert each.help, (path, each.name)
        for name, inner in getattr(command, "commands", {}).items():
            assert name in said
            walk(inner, (*path, name))

    ours = {"submit", "jobs", "failures", "refusals", "queues", "keys", "callback-url", "doctor", "trigger"}
    assert ours <= set(shell.app.cli.commands)
    for name in ours:
        walk(shell.app.cli.commands[name], (name,))


def test_flask_finds_the_commands(shell: Shell, settings: Settings) -> None:
    """In the folder of the checkout, with the settings in the environment."""
    put(shell.store, "j1")
    done = subprocess.run(
        [sys.executable, "-m", "flask", "jobs", "show", "j1", "--json"],
        cwd=ROOT,
        env=os.environ | as_environment(settings),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["job_id"] == "j1"
