"""Forked children: a signal to stop reaches each of them, and they end with their parent."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_held() -> Iterator[None]:
    """Fork in this block, and note the child's pid: a signal to stop waits until it ends. Else one that comes between
    the two would reach a parent that does not know its child, or a child that still has the parent's handlers. The
    child begins with ``begin_child``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_child() -> None:
    """From here on a signal to stop ends this process, also one that came since the fork; so does its parent's end."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _end_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _end_with_parent() -> None:
    """On Linux the kernel sends SIGTERM when the parent dies (prctl(2)); elsewhere the child has to check."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
