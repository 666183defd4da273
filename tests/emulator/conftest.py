"""One emulator for the tests of a worker process, one bucket and one receiver for each test."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator

import pytest

from .running import Account, Emulator, Receiver


@pytest.fixture(scope="session", name="emulator")
def _emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)
    quick = ("--queue-seconds", "0.2", "--run-seconds", "0.2", "--retry-every", "0.2", "--retry-times", "3")
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), *quick)
    yield emulator
    emulator.stop()


@pytest.fixture(name="account")
def _account(emulator: Emulator) -> Iterator[Account]:
    settings = emulator.control("GET", "settings")
    yield Account(emulator, emulator.client(), f"test-{secrets.token_hex(6)}-1250000000")
    emulator.control("DELETE", "faults")
    emulator.control("PATCH", "settings", settings)


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()
