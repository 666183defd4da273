"""Real servers for every test: each xdist process starts its own, on sockets and ports of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.store import Store
from app.store.access.api_keys import SCOPES
from app.web.services import WebServices
from harness.servers import Emulator, Service, Valkey, free_port
from harness.settings import make_settings

# The tests start about 2,000 processes; with this variable each would compile the application again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No deadline for an example: its time only shows how busy the machine is.
hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")


LONG_FILES = (
    "install", "docs", "e2e", "workers", "pages", "metrics", "receiver", "redis", "logs", "chaos", "api",
    "deploy", "server", "doctor", "store", "emulator",
)  # fmt: skip
"""Rooms with files that take long, mostly of tests that start whole services; the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start these rooms first: otherwise one process works on a long file at the end while the others have nothing."""
    items.sort(key=lambda item: _rank(item.path))


@cache
def _rank(path: Path) -> int:
    room = path.relative_to(Path(__file__).parent).parts[0]
    return LONG_FILES.index(room) if room in LONG_FILES else len(LONG_FILES)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server for the tests of this process; each test has a key prefix of its own."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def emptied(valkey: Valkey) -> Iterator[None]:
    """Empty the server after each file of tests: many tests scan all keys."""
    yield
    valkey.empty()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator of CI, as a process of its own."""
    # A callback that is answered late would be sent again.
    patient = ("--callback-timeout", "60")
    with Emulator(tmp_path_factory.mktemp("emulator"), free_port(), *patient) as server:
        yield server


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    """Everything set, nothing shared with another test. Change it with ``settings.model_copy(update=…)``."""
    return make_settings(valkey.url)


@pytest.fixture
def services(settings: Settings) -> WebServices:
    return WebServices.open(settings, timeout=5)


@pytest.fixture
def store(services: WebServices) -> Store:
    return services.store


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_app(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def key(store: Store) -> dict[str, str]:
    """The headers of a caller who may do everything."""
    return {"Authorization": f"Bearer {store.api_keys.create('tests', frozenset(SCOPES), replace=True)}"}


def _whole(valkey: Valkey, emulator: Emulator, folder: Path) -> Service:
    port = free_port()
    settings = make_settings(
        valkey.url, public_url=f"http://127.0.0.1:{port}", ci_endpoint=emulator.url, deadline="60s"
    )
    return Service(settings, port, folder, WEB_CONCURRENCY="1")


@pytest.fixture
def service(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Service]:
    """The whole service as real processes: gunicorn, a worker, a relay, and the emulator as its CI."""
    with _whole(valkey, emulator, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_service(
    valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One such service for all tests of a file, which must not stop it or count all that it holds."""
    with _whole(valkey, emulator, tmp_path_factory.mktemp("shared")) as running:
        yield running
