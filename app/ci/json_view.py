"""JSON to the JSON view: what Python's own parser reads, minus its surprises.

Nothing is lost and nothing can blow up later: a name given twice becomes a list, as a repeated XML node
does; a number that Python could not give back digit by digit is kept as its text; lone surrogates, which
UTF-8 cannot carry, become U+FFFD; NaN and Infinity, which JSON does not have, are refused.
"""

import json
import re
from typing import Any, NoReturn

from app.ci.limits import Limits, too_complex
from app.ci.refused import Refused, quoted

INT_DIGITS = 15
"""Integers up to here are exact in every JSON reader (2^53 has 16 digits); longer ones stay text."""

FLOAT_CHARACTERS = 32
"""No number with more characters than this can be what ``repr`` gives back for it."""


def view(body: bytes, limits: Limits) -> Any:
    """Read one JSON text; a list or an object, since nothing else begins as the receiver expects."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            "malformed_json", f"Expected JSON in UTF-8, found: {error.reason} at byte {error.start}"
        ) from None
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPE.sub(_without_lone_surrogate, text)
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise Refused("malformed_json", f"Expected JSON, found: {error}; it begins {quoted(text)}") from None
    except RecursionError:
        raise too_complex(limits) from None
    # Counting brackets and commas in C bounds depth and nodes from above; nearly every callback is
    # small enough to be let through by that, and only the others are walked.
    opened = body.count(b"{") + body.count(b"[")
    if opened >= limits.depth or opened + body.count(b",") >= limits.nodes:
        _measure(value, limits)
    return value


_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _without_lone_surrogate(match: re.Match[str]) -> str:
    return "\\ufffd" if match[1] else match[0]


def _measure(value: Any, limits: Limits) -> None:
    level, nodes = [value], 0
    for _ in range(limits.depth):
        nodes += len(level)
        if nodes > limits.nodes:
            break
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        if not inner:
            return
        level = inner
    raise too_complex(limits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    node = dict(pairs)
    return node if len(node) == len(pairs) else _with_lists(pairs)


def _with_lists(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: given[0] if len(given) == 1 else _flat(given) for name, given in values.items()}


def _flat(given: list[Any]) -> list[Any]:
    """One list of all that was given under a name, whether one by one or as lists."""
    return [one for value in given for one in (value if isinstance(value, list) else [value])]


def _integer(digits: str) -> int | str:
    return digits if len(digits) > INT_DIGITS or digits == "-0" else int(digits)


def _number(digits: str) -> float | str:
    if len(digits) > FLOAT_CHARACTERS:
        return digits
    number = float(digits)
    return number if repr(number) == digits else digits


def _constant(word: str) -> NoReturn:
    raise Refused("malformed_json", f"Found {word}; expected JSON, which has no such number")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
).decode
