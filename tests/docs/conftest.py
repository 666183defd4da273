"""What a reader of the docs has: a copy of the checkout, a Redis, the emulator as CI, the settings of deploy.md."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import ROOT, Emulator, Valkey, as_environment, free_port
from harness.settings import make_settings
from stack import valkey as embedded
from tests.docs.console import Reader

_PARTS = (
    "app",
    "ci_callback_receiver",
    "deploy",
    "docs",
    "emulator",
    "examples",
    "server",
    "stack",
    "workers",
)
_FILES = (
    "Procfile",
    "Makefile",
    "gunicorn.conf.py",
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
)


BEING_WRITTEN = shutil.ignore_patterns("*.pyc.*")
"""Compiled modules that another process is writing, before it renames them."""


class RedisServer(Valkey):
    """A server on TCP, as in deploy.md, that syncs its append-only file before each answer."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        super().__init__(folder, "--port", str(self.port), "--appendfsync", "always", *options)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources as they are now, in a folder that a page may write to; the environment of `make` is linked. Compiled
    modules are copied too: compiling them again would take most of a page's processor time."""
    folder = tmp_path / "ci-callback-receiver"
    folder.mkdir()
    for name in _PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=BEING_WRITTEN)
    for name in _FILES:
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the server of `make run` as ``redis-server``: an older one cannot read its data."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "redis-server").symlink_to(embedded.binary())
    return folder


@pytest.fixture
def deployed(redis_server: RedisServer, emulator: Emulator) -> Settings:
    """The settings of deploy.md, with the emulator in Tencent's place."""
    port = free_port()
    return make_settings(
        redis_server.url,
        key_prefix="ci:",
        public_url=f"http://127.0.0.1:{port}",
        ci_endpoint=emulator.url,
        cos_bucket=Emulated(emulator.url).bucket,
    )


@pytest.fixture
def environment(programs: Path) -> Callable[[Settings], dict[str, str]]:
    """The environment of a shell that has exported these settings."""

    def of(settings: Settings) -> dict[str, str]:
        ours = as_environment(settings)
        clean = {name: value for name, value in os.environ.items() if name not in _OTHERS}
        port = (settings.public_url or "").rpartition(":")[2]
        path = f"{Path(sys.executable).parent}:{programs}:{os.environ['PATH']}"
        return (
            clean | ours | {"PATH": path, "PORT": port, "HOST": "127.0.0.1", "TERM": "dumb", "COLUMNS": "200"}
        )

    return of


_OTHERS = {name.upper() for name in Settings.model_fields} | {"API_KEY"}

Follow = Callable[..., int]


@pytest.fixture
def follow(checkout: Path, deployed: Settings, environment: Callable[[Settings], dict[str, str]]) -> Follow:
    """Follow a page of docs/ with the settings in the environment; return how many commands were run."""

    def page(
        name: str,
        *,
        settings: Settings = deployed,
        instead: Mapping[str, str] | None = None,
        at: Mapping[str, Callable[[], object]] | None = None,
        then: Callable[[], object] = lambda: None,
        **variables: str,
    ) -> int:
        with Reader(checkout, environment(settings) | variables, instead or {}) as reader:
            count = reader.follow(ROOT / "docs" / name, at or {})
            then()  # While its terminals are still open.
            return count

    return page


@pytest.fixture(autouse=True)
def redis_cli() -> None:
    """Fail if redis-cli, which the pages use, is missing."""
    if not shutil.which("redis-cli"):
        pytest.fail(
            "These tests need redis-cli: install the package `redis-tools` (`make test` does, as root)."
        )
