"""One running service for all tests of the client: gunicorn, a worker, a relay, the emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ci_receiver_client import Client

from harness.servers import Emulator, Service, Valkey, free_port
from harness.settings import make_settings

REQUEST = {
    "input": {"object": "input/demo.mp3"},
    "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
    "output": {"object": "out/background.${ext}", "au_object": "out/${jobid}/vocals.${ext}"},
}


@pytest.fixture(scope="package")
def running(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With a Redis of its own: the other one is emptied after each file."""
    port, folder = free_port(), tmp_path_factory.mktemp("service")
    with Valkey(folder) as own:
        settings = make_settings(
            own.url, public_url=f"http://127.0.0.1:{port}", ci_endpoint=emulator.url, deadline="60s"
        )
        with Service(settings, port, folder) as service:
            yield service


@pytest.fixture
def receiver(running: Service) -> Iterator[Client]:
    with Client(running.url, running.key) as client:
        yield client
