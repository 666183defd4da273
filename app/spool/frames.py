"""The format of spool files: records that can be read although the file is cut off or damaged anywhere.

A file begins with ``CISPOOL1`` and a random key of 16 bytes. Each record is ``F5 "REC"``, the length of its payload
(32 bits, little-endian), a BLAKE2b digest of the payload under that key (16 bytes), and the payload. The digest tells a
whole record from a torn or changed one. The key makes the search for the next record after a damaged stretch safe: a
payload holds a stranger's bytes, and without the key no caller can forge bytes that pass for a record.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator

from msgspec import Struct

_FILE_MARK = b"CISPOOL1"
_KEY = 16
HEADER = len(_FILE_MARK) + _KEY
_MARK = b"\xf5REC"
_HEAD = struct.Struct(f"<{len(_MARK)}sI16s")
OVERHEAD = _HEAD.size
"""Bytes that a record takes besides its payload."""


class Frame(Struct, frozen=True):
    """A whole record; ``end`` is the position after it."""

    end: int
    payload: bytes


class Damage(Struct, frozen=True):
    """Bytes that are no record. ``torn``: no whole record follows, as after a crash during the last write."""

    start: int
    end: int
    torn: bool


def new_header() -> bytes:
    """The beginning of a file."""
    return _FILE_MARK + os.urandom(_KEY)


def encode(payload: bytes, header: bytes) -> bytes:
    """One record, for the file that begins with ``header``."""
    return _HEAD.pack(_MARK, len(payload), _digest(payload, header)) + payload


def scan(data: bytes, start: int = 0) -> Iterator[Frame | Damage]:
    """Every whole record from ``start`` on, and every damaged stretch between or after them. Raises nothing."""
    header, end = data[:HEADER], len(data)
    if len(header) < HEADER or not header.startswith(_FILE_MARK):
        if data:
            yield Damage(0, end, torn=len(header) < HEADER)
        return
    position = max(start, HEADER)
    while position < end:
        frame = _at(data, position, header)
        if frame is None:
            following = _next(data, position + 1, header)
            yield Damage(position, following or end, torn=following is None)
            position = following or end
        else:
            yield frame
            position = frame.end


def _at(data: bytes, position: int, header: bytes) -> Frame | None:
    if position + _HEAD.size > len(data):
        return None
    mark, length, digest = _HEAD.unpack_from(data, position)
    end = position + _HEAD.size + length
    if mark != _MARK or end > len(data):
        return None
    payload = data[position + _HEAD.size : end]
    return Frame(end, payload) if _digest(payload, header) == digest else None


def _next(data: bytes, position: int, header: bytes) -> int | None:
    while (position := data.find(_MARK, position)) >= 0:
        if _at(data, position, header):
            return position
        position += 1
    return None


def _digest(payload: bytes, header: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16, key=header[len(_FILE_MARK) :]).digest()
