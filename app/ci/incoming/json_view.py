"""JSON to the JSON view: Python's parser, without its surprises.

Nothing is lost: a name that occurs twice becomes a list, as a repeated XML node does; a number that Python cannot write
back digit by digit stays text; lone surrogates, which UTF-8 cannot encode, become U+FFFD; NaN and Infinity, which JSON
(RFC 8259) does not have, are refused.
"""

import json
import re
from typing import Any, NoReturn

from app.ci.incoming.characters import sanitized, sanitized_escapes, without_lone_surrogates
from app.ci.incoming.limits import BodyLimits, too_complex
from app.ci.incoming.refused import Refused, quoted

INT_DIGITS = 15
"""Integers up to here are exact in every JSON reader (2^53 has 16 digits); longer ones stay text."""

FLOAT_CHARACTERS = 32
"""No number with more characters than this can be what ``repr`` gives back for it."""


def json_view(body: bytes, limits: BodyLimits) -> Any:
    """Read one JSON text of CI's; a list or an object, since nothing else begins as the receiver expects.

    Invalid characters are replaced: bare line ends in a string stay, characters that XML could not hold are U+FFFD.
    """
    return _view(sanitized_escapes(sanitized(body)), limits, strict=False)


def strict_view(body: bytes, limits: BodyLimits) -> Any:
    """Read one JSON text of a user, without replacing anything: what we send for them is not ours to change."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            "malformed_json", f"Expected JSON in UTF-8, found: {error.reason} at byte {error.start}"
        ) from None
    return _view(without_lone_surrogates(text), limits, strict=True)


def _view(text: str, limits: BodyLimits, *, strict: bool) -> Any:
    # Counting brackets and commas in C bounds depth and nodes from above, and nearly every callback is small
    # enough to be let through by that. What is not is measured: its nodes before it is decoded, since each costs
    # a call of ours, and its depth after.
    opened = text.count("{") + text.count("[")
    if opened + text.count(",") >= limits.nodes:
        _check_nodes(text, limits)
    try:
        value = (_STRICT if strict else _LENIENT).decode(text)
    except json.JSONDecodeError as error:
        raise Refused("malformed_json", f"Expected JSON, found: {error}; it begins {quoted(text)}") from None
    except RecursionError:
        raise too_complex(limits) from None
    if opened >= limits.depth:
        _measure(value, limits)
    return value


_STRING = re.compile(r'"[^"]*+"?')


def _check_nodes(text: str, limits: BodyLimits) -> None:
    """Count values by the signs between them, without those that stand in strings."""
    text = text.replace("\\\\", "").replace('\\"', "")
    bare, strings = _STRING.subn("", text, count=2 * limits.nodes + 1)
    if strings > 2 * limits.nodes or bare.count("{") + bare.count("[") + bare.count(",") >= limits.nodes:
        raise too_complex(limits)


def _measure(value: Any, limits: BodyLimits) -> None:
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


def _decoder(*, strict: bool) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_number,
        parse_constant=_constant,
        strict=strict,
    )


_STRICT, _LENIENT = _decoder(strict=True), _decoder(strict=False)
