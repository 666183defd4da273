"""One web process for the tests of a file: what they send must leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.servers import Valkey, Web, free_port
from harness.settings import make_settings


@pytest.fixture(scope="module")
def web(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Real gunicorn with one worker process, so that a single crash would stop it."""
    settings = make_settings(valkey.url, max_body="256 KiB")
    folder = tmp_path_factory.mktemp("web")
    with Web(settings, free_port(), folder, WEB_CONCURRENCY="1") as running:
        yield running
