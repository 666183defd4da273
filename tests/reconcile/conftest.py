"""The service, the emulator as CI, and the relay's loops as functions, as in the relay's own tests."""

from collections.abc import Iterator
from threading import Thread

import pytest

from tests.reconcile.fake_ci import FakeCI
from tests.workers.conftest import ci, ours, relay

__all__ = ["ci", "ours", "relay"]


@pytest.fixture
def fake() -> Iterator[FakeCI]:
    with FakeCI() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
