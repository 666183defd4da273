"""Compression of values, with a dictionary of the texts that CI's bodies and our records share.

A body of 2.3 kB takes some 150 bytes; zlib needs 740. Each value is a Zstandard frame (RFC 8878) that names its
dictionary. The newest one in ``dictionaries/`` compresses; never remove an older one, because stored values need it.
``python -m bench.dictionary`` makes another one. Earlier releases stored zlib and plain JSON, which ``unpack`` reads.
"""

from __future__ import annotations

import threading
import zlib
from functools import cache
from pathlib import Path

from zstandard import (
    STRATEGY_GREEDY,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    get_frame_parameters,
)

DICTIONARIES = Path(__file__).parent / "dictionaries"
_PARAMETERS = ZstdCompressionParameters(
    strategy=STRATEGY_GREEDY,
    hash_log=15,
    chain_log=15,
    search_log=5,
    min_match=6,
    window_log=17,
    write_dict_id=True,
)
"""Nearly as small as level 9, for little more time than level 3: its matches are long, as they are with a dictionary,
and its tables small, so that they stay in the processor's cache (docs/decisions.md has the figures)."""
_FRAME = b"\x28\xb5\x2f\xfd"
_ZLIB = b"\x78"
# A compressor must not be used by two threads at once. Waiting for it takes less time than making another one.
_lock = threading.Lock()


class Unpackable(ValueError):
    """The bytes are damaged, or of a format or dictionary that this release does not know."""


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
    dictionary.precompute_compress(compression_params=_PARAMETERS)
    return ZstdCompressor(dict_data=dictionary, compression_params=_PARAMETERS)


@cache
def _decompressor(number: int) -> ZstdDecompressor:
    return ZstdDecompressor(dict_data=_dictionary(number) if number else None)
