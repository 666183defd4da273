"""The whole service with chosen settings; a CI that is reset between tests, and the relay that asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from app import create_app
from app.services import Services
from app.settings import Settings
from harness.downstream import KEY, OLD_KEY, Downstream
from harness.servers import Emulator, Service, Valkey, free_port
from harness.settings import make_settings
from tests.workers.relay.asking import Relay

Start = Callable[..., Service]


class Background(Service):
    """A relay, and a worker if ``worker``, as processes. The application answers the API in the test's process."""

    def __init__(
        self, settings: Settings, port: int, folder: Path, *, worker: bool = True, **environment: str
    ) -> None:
        super().__init__(settings, port, folder, **environment)
        self.processes = (self.relay, self.worker) if worker else (self.relay,)
        self._roles = ("relay", "worker") if worker else ("relay",)
        self._client = httpx.Client(
            transport=httpx.WSGITransport(app=create_app(settings)), base_url=self.url
        )

    def ready(self) -> dict[str, Any]:
        presence = self.services.store.presence
        return {"status": "ok"} if all(map(presence.seen, self._roles)) else {}

    def call(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        return self._client.request(method, path, headers=headers, **options)


@pytest.fixture
def downstream() -> Iterator[Downstream]:
    """An endpoint that receives our deliveries."""
    with Downstream() as server:
        yield server


@pytest.fixture
def start(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Start]:
    """Starts the whole service, with these settings changed; environment variables go into ``environment``."""
    with ExitStack() as stack:
        yield partial(_begin, stack, Service, valkey, emulator, tmp_path)


@pytest.fixture
def start_background(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Start]:
    """The same, without a web process."""
    with ExitStack() as stack:
        yield partial(_begin, stack, Background, valkey, emulator, tmp_path)


@pytest.fixture
def start_relay(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Iterator[Start]:
    """The same, without a web process and a worker."""
    with ExitStack() as stack:
        yield partial(_begin, stack, partial(Background, worker=False), valkey, emulator, tmp_path)


def _begin(
    stack: ExitStack,
    kind: Callable[..., Service],
    valkey: Valkey,
    emulator: Emulator,
    folder: Path,
    environment: dict[str, str] | None = None,
    **changes: object,
) -> Service:
    port = free_port()
    wanted: dict[str, object] = {
        "public_url": f"http://127.0.0.1:{port}",
        "ci_endpoint": emulator.url,
        "check_outputs": False,
        "forward_keys": f"{KEY},{OLD_KEY}",
        "forward_allow_private": "127.0.0.0/8",
        "forward_timeout": "30s",
        "forward_backoff": "0.3s",
    }
    settings = make_settings(valkey.url, **(wanted | changes))
    # What is tested here happens behind the web: one process of it will do.
    variables = {"WEB_CONCURRENCY": "1"} | (environment or {})
    return stack.enter_context(kind(settings, port, folder, **variables))


@pytest.fixture
def ci(emulator: Emulator) -> Iterator[Emulator]:
    """The emulator as it was started; its jobs run until a test ends them."""
    requests.post(f"{emulator.url}/_emulator/reset", timeout=60)
    slow = {"queue_seconds": 0, "run_seconds": 600, "retry_times": 0}
    requests.patch(f"{emulator.url}/_emulator/settings", json=slow, timeout=60)
    yield emulator
    requests.post(f"{emulator.url}/_emulator/reset", timeout=60)


@pytest.fixture
def ours(settings: Settings, ci: Emulator) -> Services:
    """Services that use the emulator; nothing listens at their callback URL."""
    changes = {"ci_endpoint": ci.url, "public_url": "http://127.0.0.1:9", "deadline": 3600.0}
    return Services.open(settings.model_copy(update=changes), timeout=5)


@pytest.fixture
def relay(ours: Services) -> Relay:
    return Relay(ours)
