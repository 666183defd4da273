"""Flags in memory shared by a worker and the child that it forks for each batch: they work while Redis is away."""

from __future__ import annotations

import mmap
import struct

_STOP = struct.Struct("=?")
_ENDED = struct.Struct("=?")
_PID = struct.Struct("=q")
_KILL_AT = struct.Struct("=d")


class SharedFlags:
    """Made by the worker before it forks. One batch at a time writes them."""

    def __init__(self) -> None:
        self._bytes = mmap.mmap(-1, 64)

    def begin(self) -> None:
        """Reset, by the worker before it starts a batch; ``stop`` stays."""
        _ENDED.pack_into(self._bytes, 8, False)
        _PID.pack_into(self._bytes, 16, 0)
        _KILL_AT.pack_into(self._bytes, 24, 0.0)

    @property
    def stop(self) -> bool:
        """Whether the worker got SIGTERM: the batch ends after the current run."""
        return bool(_STOP.unpack_from(self._bytes, 0)[0])

    @stop.setter
    def stop(self, value: bool) -> None:
        _STOP.pack_into(self._bytes, 0, value)

    @property
    def ended(self) -> bool:
        """Whether the batch has ended in order, so that none of its runs has to be released."""
        return bool(_ENDED.unpack_from(self._bytes, 8)[0])

    @ended.setter
    def ended(self, value: bool) -> None:
        _ENDED.pack_into(self._bytes, 8, value)

    @property
    def pid(self) -> int:
        """The process id of the child; 0 until the child has set it."""
        return int(_PID.unpack_from(self._bytes, 16)[0])

    @pid.setter
    def pid(self, value: int) -> None:
        _PID.pack_into(self._bytes, 16, value)

    @property
    def kill_at(self) -> float:
        """When the process of the batch is to be killed (``time.monotonic()``); 0 while no handler runs."""
        return float(_KILL_AT.unpack_from(self._bytes, 24)[0])

    @kill_at.setter
    def kill_at(self, value: float) -> None:
        _KILL_AT.pack_into(self._bytes, 24, value)
