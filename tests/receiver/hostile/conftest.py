"""The state in which each hostile request must leave the web process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from harness.servers import Web
from tests.receiver.callbacks import a_token
from tests.receiver.hostile.process import MIB, memory, workers

# What the process may grow by over one test: nothing that is sent here is kept.
GROWTH = 60 * MIB


@pytest.fixture
def unharmed(web: Web) -> Iterator[None]:
    """The same processes, no more memory, and no traceback in the log."""
    before, said, who = memory(web), len(web.web.text()), workers(web)
    yield
    assert requests.get(f"{web.url}/healthz", timeout=10).ok
    assert workers(web) == who, "no process died"
    assert memory(web) - before < GROWTH
    assert "Traceback" not in web.web.text()[said:]


@pytest.fixture
def path(web: Web) -> str:
    """The path of a callback URL with a valid token."""
    return f"/callbacks/{a_token(web.settings)}"


@pytest.fixture
def no_fault(web: Web) -> Iterator[None]:
    """The process answers, and the log has no traceback."""
    said = len(web.web.text())
    yield
    assert requests.get(f"{web.url}/healthz", timeout=10).ok
    assert "Traceback" not in web.web.text()[said:]
