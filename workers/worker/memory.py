"""A bound on the memory of a handler's process: HANDLER_MEMORY, or its lane's ``memory=``.

The kernel counts writable private memory (RLIMIT_DATA), so that the bound holds at once, also for a handler that takes
gigabytes in an instant, which a look at its size every second would miss. RLIMIT_AS counts address space, of which each
thread reserves 64 MiB that it never uses. Where there is no /proc, nothing is bounded.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/status")


@contextmanager
def bounded(grow_by: int | None) -> Iterator[None]:
    """What the block runs may take that many bytes beyond what the process has; then there is MemoryError.

    The bound ends with the block, whose error has to be recorded: that takes memory too."""
    held = _data_size() if grow_by else None
    if grow_by is None or held is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = held + grow_by
    resource.setrlimit(resource.RLIMIT_DATA, (most if before[1] < 0 else min(most, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_size() -> int | None:
    """Bytes of writable private memory of this process."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)
