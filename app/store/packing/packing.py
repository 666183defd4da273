"""Values are compressed with a dictionary of what CI's bodies and our records have in common.

A body of 2.3 kB takes some 150 bytes, where zlib needs 740. Each value is a Zstandard frame (RFC 8878) that names the
dictionary it was made with; the newest one in ``dictionaries/`` compresses, and none of them may ever be removed.
``python -m bench.dictionary`` makes another one. Earlier releases stored zlib and plain JSON: both stay readable.
"""

from __future__ import annotations

import threading
import zlib
from functools import cache
from pathlib import Path

from zstandard import (
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    get_frame_parameters,
)

DICTIONARIES = Path(__file__).parent / "dictionaries"
_LEVEL = 9
"""Higher levels take the same bytes for bodies of this size, and twice the time."""
_FRAME = b"\x28\xb5\x2f\xfd"
_ZLIB = b"\x78"
# A compressor must not be used by two threads at once. Waiting for it is shorter than making one.
_lock = threading.Lock()


class Unpackable(ValueError):
    """No release of ours has stored this, or it is damaged."""


def pack(value: bytes) -> bytes:
    """The value, compressed."""
    with _lock:
        return _compressor().compress(value)


def unpack(value: bytes) -> bytes:
    """The inverse of ``pack``; values of earlier releases too. Raises ``Unpackable``."""
    try:
        if value.startswith(_FRAME):
            number = get_frame_parameters(value).dict_id
            with _lock:
                return _decompressor(number).decompress(value)
        return zlib.decompress(value) if value.startswith(_ZLIB) else value
    except (ZstdError, zlib.error, OSError) as error:
        raise Unpackable(str(error)) from error


def newest() -> int:
    """The number of the dictionary that compresses."""
    return max(int(path.stem) for path in DICTIONARIES.glob("*.zstd"))


@cache
def _dictionary(number: int) -> ZstdCompressionDict:
    return ZstdCompressionDict((DICTIONARIES / f"{number}.zstd").read_bytes())


@cache
def _compressor() -> ZstdCompressor:
    dictionary = _dictionary(newest())
    dictionary.precompute_compress(level=_LEVEL)
    return ZstdCompressor(level=_LEVEL, dict_data=dictionary, write_checksum=False)


@cache
def _decompressor(number: int) -> ZstdDecompressor:
    return ZstdDecompressor(dict_data=_dictionary(number) if number else None)
