"""Reading fields of a JSON view without ever raising: CI writes each field in several ways, and strangers in any.

A value of an unexpected type reads as absent; ``raw`` keeps it. A list of one item reads as that item: in XML both look
the same, and CI's JSON is not consistent. Several items where one is expected are ambiguous and read as absent.
"""

import re
from typing import Any

_INTEGER = re.compile(r"(-?[0-9]{1,15})(?:\.0{1,15})?")


def many(value: Any) -> list[Any]:
    """One or many as a list; absent and empty nodes are left out."""
    if isinstance(value, list):
        return value
    return [] if value is None or value == "" else [value]


def node(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else {}


def nodes(value: Any) -> list[dict[str, Any]]:
    """The objects among one or many."""
    return [one for one in many(value) if isinstance(one, dict)]


def text(value: Any) -> str | None:
    """A scalar as the text that XML would have; ``None`` if it is absent, blank or ``-``."""
    if value is None:
        return None
    if not isinstance(value, str):
        value = _text_of(value)
    return None if not value or value == "-" or value.isspace() else value


def texts(value: Any) -> list[str]:
    """The scalars among one or many."""
    return [found for one in many(value) if (found := text(one)) is not None]


def word(value: Any) -> str | None:
    """As ``text``, without surrounding blanks: a state, a time, an id of CI's."""
    found = text(value)
    return found.strip() if found else None


def integer(value: Any) -> int | None:
    """A whole number, given as a number or as a string; a relay may have made it a double, ``100.0``."""
    if value is None:
        return None
    found = _INTEGER.fullmatch(word(value) or "")
    return int(found[1]) if found else None


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and len(value) == 1:
        return text(value[0]) or ""
    if isinstance(value, dict) and isinstance(value.get("#text"), str):
        # An XML leaf that has attributes or a prefix is still a leaf.
        return value["#text"] if all(key[:1] in "@#" for key in value) else ""
    return ""
