"""A process whose clock is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def off_by(seconds: float) -> Iterator[None]:
    """The clock of this process is off by so much; the monotonic clock goes on as it did."""
    true, true_ns = time.time, time.time_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: true() + seconds)
        patch.setattr(time, "time_ns", lambda: true_ns() + int(seconds * 1e9))
        yield
