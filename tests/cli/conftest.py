"""An installation for commands, with CI and without."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey
from harness.settings import make_settings
from tests.cli.shell import Shell


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """Commands with Redis; CI is away."""
    return Shell(settings)


@pytest.fixture
def ci(valkey: Valkey, emulator: Emulator) -> tuple[Shell, Emulated]:
    """CI, for commands that need it."""
    emulated = Emulated(emulator.url)
    return Shell(make_settings(valkey.url, ci_endpoint=emulator.url, cos_bucket=emulated.bucket)), emulated


@pytest.fixture
def api(shell: Shell) -> FlaskClient:
    return shell.app.test_client()
