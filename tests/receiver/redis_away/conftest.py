"""A receiver with a Redis of its own, which a test may break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.settings import Settings
from app.web.services import WebServices
from harness.servers import Valkey
from harness.settings import make_settings
from tests.web.serving import serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A server that this test may break: whatever it has acknowledged outlives its end."""
    with Valkey(tmp_path, "--appendfsync", "always") as own:
        yield own


@pytest.fixture
def settings(server: Valkey, tmp_path: Path) -> Settings:
    return make_settings(server.url, spool_dir=str(tmp_path / "spool"), redis_timeout="2s")


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    made = serving(settings)
    yield made
    made.extensions["services"].drainer.stop()


@pytest.fixture
def ours(app: Flask) -> WebServices:
    found: WebServices = app.extensions["services"]
    return found
