"""``flask doctor`` as a command: what it prints, and how it exits."""

from __future__ import annotations

import subprocess

from app import create_app
from app.settings import Settings
from harness.servers import ROOT, Service
from tests.cli.submit.conftest import Flask, command


def test_a_whole_installation_is_well(service: Service) -> None:
    """With every part there the exit code is 0, and each part is named."""
    ran = create_app(service.settings).test_cli_runner().invoke(args=["doctor"])
    assert ran.exit_code == 0, ran.output
    for part in (
        "Redis: accepts writes", "Redis persistence: append-only", "Redis eviction: noeviction", "relay: 1", "worker: ",
        "HANDLERS:", "API keys: 1", "CI: the emulator", "clock: agrees", "COS: results can be read", "leads here",
    ):  # fmt: skip
        assert part in ran.output
    assert "FAIL" not in ran.output


def test_missing_parts_are_named_with_advice(flask: Flask) -> None:
    """No processes, nothing at PUBLIC_URL, no API key: exit code 1, and a next step for each."""
    ran = flask("doctor")
    assert ran.code == 1
    for todo in ("python -m workers.relay", "python -m workers.worker", "flask keys create", "proxy pass"):
        assert todo in ran.out
    assert "failed" in ran.out


def test_wrong_settings_are_all_named(settings: Settings) -> None:
    """Even this command cannot go on; its message names every fault, and its exit code is 2."""
    argv, variables = command(
        settings, "doctor", COS_BUCKET="nonumber", VERIFY="binding", PUBLIC_URL="ftp://x"
    )
    done = subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stderr
    for name in ("COS_BUCKET", "VERIFY", "PUBLIC_URL"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr
