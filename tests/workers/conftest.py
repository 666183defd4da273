from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import make_settings
from tests.downstream import KEY, OLD_KEY, Downstream
from tests.servers import Emulator, Service, Valkey, free_port

Start = Callable[..., Service]


@pytest.fixture
def downstream() -> Iterator[Downstream]:
    """Someone who wants our events."""
    with Downstream() as server:
        yield server


@pytest.fixture
def start(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Start]:
    """Starts the whole service, with these settings changed; environment variables go into ``environment``."""
    with ExitStack() as stack:

        def begin(environment: dict[str, str] | None = None, **changes: object) -> Service:
            port = free_port()
            wanted: dict[str, object] = {
                "public_url": f"http://127.0.0.1:{port}",
                "ci_endpoint": emulator.url,
                "check_outputs": False,
                "forward_keys": f"{KEY},{OLD_KEY}",
                "forward_allow_private": "127.0.0.0/8",
                "forward_timeout": "2s",
                "forward_backoff": "0.3s",
            }
            settings = make_settings(valkey.url, **(wanted | changes))
            return stack.enter_context(Service(settings, port, tmp_path, **(environment or {})))

        yield begin
