"""Job ids as members of sorted sets, in the form that record.lua writes.

CI's ids, a letter and 32 hex digits, take 17 bytes. The first byte cannot begin UTF-8 text, so that no other id has
this form.
"""

from __future__ import annotations

import re
from typing import Any, Final

_USUAL: Final = re.compile(r"[a-z][0-9a-f]{32}")
_BEGINNING: Final = re.compile(r"[a-z][0-9a-f]{0,32}")
_LENGTH: Final = 33
_BYTES: Final = 17
_FIRST: Final = 0x80


def member_of(job_id: str) -> bytes:
    """The short form of an id."""
    if not _USUAL.fullmatch(job_id):
        return job_id.encode()
    return bytes([_FIRST + ord(job_id[0]) - ord("a")]) + bytes.fromhex(job_id[1:])


def job_of(member: bytes) -> str:
    """The inverse of ``member_of``. Ids that earlier releases stored in full are returned as they are."""
    if len(member) == _BYTES and _FIRST <= member[0] < _FIRST + 26:
        return chr(member[0] - _FIRST + ord("a")) + member[1:].hex()
    return member.decode()


def short_range(text: str) -> tuple[bytes, bytes] | None:
    """Between which short forms, the ends included, all ids stand that begin with ``text``; ``None`` if none can."""
    if not _BEGINNING.fullmatch(text):
        return None
    low, high = (member_of(text.ljust(_LENGTH, digit)) for digit in "0f")
    return low, high


def jobs_of(members: Any) -> list[str]:
    """The ids of all members of a reply."""
    return [job_of(each) for each in members]
