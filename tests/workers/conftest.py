"""CI that forgets everything between tests, and whoever asks it."""

from __future__ import annotations

import pytest
import requests

from app.services import Services
from app.settings import Settings
from tests.servers import Emulator
from tests.workers.asking import Relay


@pytest.fixture
def ci(emulator: Emulator) -> Emulator:
    """The emulator as it was started; its jobs run until a test ends them."""
    requests.post(f"{emulator.url}/_emulator/reset", timeout=5)
    slow = {"queue_seconds": 0, "run_seconds": 600, "retry_times": 0}
    requests.patch(f"{emulator.url}/_emulator/settings", json=slow, timeout=5)
    return emulator


@pytest.fixture
def ours(settings: Settings, ci: Emulator) -> Services:
    """Our side; its callbacks lead nowhere."""
    changes = {"ci_endpoint": ci.url, "public_url": "http://127.0.0.1:9", "deadline": 3600.0}
    return Services.open(settings.model_copy(update=changes), timeout=5)


@pytest.fixture
def relay(ours: Services) -> Relay:
    return Relay(ours)
