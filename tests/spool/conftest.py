"""A spool folder and a drainer for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.store import Store
from tests.spool.home import Home


@pytest.fixture
def home(store: Store, tmp_path: Path) -> Home:
    return Home(store, tmp_path / "spool")
