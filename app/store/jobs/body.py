"""The exact bytes of a body: their name, by which history entries and jobs refer to them."""

from __future__ import annotations

from hashlib import blake2b


def body_id(body: bytes) -> str:
    """Made of the bytes alone: they are kept once, however many jobs they speak of and however often they come."""
    return blake2b(body, digest_size=12).hexdigest()
