"""The limit on the memory of a handler's process: HANDLER_MEMORY, or its lane's ``memory=``.

RLIMIT_DATA (setrlimit(2)) limits writable private memory, so that it stops even a handler that takes gigabytes in an
instant, which sampling would miss. RLIMIT_AS would count address space, of which each thread reserves 64 MiB that it
never uses. Without /proc there is no limit.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/status")


@contextmanager
def bounded(grow_by: int | None) -> Iterator[None]:
    """Limit the block to that many bytes beyond the present size of the process; above that Python raises MemoryError.

    The limit ends with the block, because recording its error takes memory too."""
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
