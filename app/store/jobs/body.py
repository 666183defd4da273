"""The exact bytes of a body: the name by which history entries and jobs refer to them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b


def body_id(body: bytes) -> str:
    """A hash of the bytes alone: the same bytes are stored once, for however many jobs and callbacks."""
    return b64encode(blake2b(body, digest_size=12).digest(), b"-_").decode()
