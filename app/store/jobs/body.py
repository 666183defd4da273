"""The exact bytes of a body: their name, by which history entries and jobs refer to them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b


def body_id(body: bytes) -> str:
    """Made of the bytes alone: they are kept once, however many jobs they speak of and however often they come."""
    return b64encode(blake2b(body, digest_size=12).digest(), b"-_").decode()
