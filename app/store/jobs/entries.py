"""Entries of a job's history, as ``record.lua`` stores them."""

from __future__ import annotations

import json
from typing import Any, Final

from app.store.packing.packing import pack, unpack

_OUTCOMES: Final = {"a": "accepted", "d": "duplicate", "s": "stale"}


def read_entry(stored: bytes) -> dict[str, Any]:
    """The entry of the history (as the API shows it) that is stored in these parts."""
    parts, at = dict[str, bytes](), 0
    while (letter := chr(stored[at])) != "j":
        end = at + 2 + stored[at + 1]
        parts[letter] = stored[at + 2 : end]
        at = end
    entry: dict[str, Any] = json.loads(unpack(stored[at + 1 :]))
    if "b" in parts:
        entry["body"] = parts["b"].decode()
    entry["entry"] = int(parts["n"])
    if "o" in parts:
        entry["outcome"] = _OUTCOMES[parts["o"].decode()]
    if "e" in parts:
        entry["event_id"] = parts["e"].hex()
    if "d" in parts:
        entry["doubt"] = parts["d"].decode()
    return entry


def stored_entry(entry: dict[str, Any]) -> bytes:
    """The inverse of ``read_entry``: for entries of earlier releases."""
    rest = dict(entry)
    parts = _part("n", str(rest.pop("entry")).encode())
    if rest.get("outcome") in _OUTCOMES.values():
        parts += _part("o", rest.pop("outcome")[:1].encode())
    if event := rest.pop("event_id", None):
        parts += _part("e", bytes.fromhex(event))
    for letter, name in (("b", "body"), ("d", "doubt")):
        if value := rest.pop(name, None):
            parts += _part(letter, value.encode())
    return parts + b"j" + pack(json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode())


def number_of(stored: bytes) -> int:
    """The number of the entry in its history: the first part."""
    return int(stored[2 : 2 + stored[1]])


def _part(letter: str, value: bytes) -> bytes:
    return letter.encode() + bytes([len(value)]) + value
