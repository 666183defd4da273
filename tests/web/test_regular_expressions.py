"""No regular expression takes more than linear time, whatever it reads.

Compiled patterns are found by import, others in the source. Each reads strings that are made from itself: the
beginning of a match, then many times a letter of the pattern, then something that does not match.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import pytest

import app
import workers

ROOT = Path(__file__).parents[2]
METHODS = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
LETTERS_OF = {c.CATEGORY_DIGIT: "7", c.CATEGORY_SPACE: " ", c.CATEGORY_WORD: "w"}
MANY = 6_000


class Use(NamedTuple):
    """A pattern, where it is, and the method that uses it."""

    where: str
    method: str
    pattern: re.Pattern[Any]


def modules() -> Iterator[Any]:
    for package in (app, workers):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def uses() -> Iterator[Use]:
    for module in modules():
        source = Path(module.__file__).read_text()
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and re.search(rf"^{name}\b", source, re.MULTILINE):
                methods = {m for m in METHODS if f"{name}.{m}(" in source}
                assert methods, f"{module.__name__}.{name} is not used in a way that this test can see"
                yield from (Use(f"{module.__name__}.{name}", method, value) for method in methods)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{m}" for m in METHODS}:
                where, method = f"{module.__name__}:{node.lineno}", ast.unparse(node.func)[3:]
                pattern = node.args[0]
                given = pattern.value if isinstance(pattern, ast.Constant) else _filled(pattern)
                yield Use(where, method, re.compile(given))


def _filled(pattern: ast.expr) -> str:
    """An f-string with a letter for each value."""
    assert isinstance(pattern, ast.JoinedStr), ast.unparse(pattern)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "w" for part in pattern.values)


def parsed(pattern: re.Pattern[Any]) -> list[Any]:
    given = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    return list(_parser.parse(given, flags))


def letters(items: list[Any]) -> Iterator[str]:
    """The letters of a pattern; of a range, both ends."""
    for op, value in items:
        if op in (c.LITERAL, c.NOT_LITERAL):
            yield chr(value)
        elif op is c.IN:
            yield from letters(value)
        elif op is c.RANGE:
            yield chr(value[0])
            yield chr(value[1])
        elif op is c.CATEGORY:
            yield LETTERS_OF.get(value, "w")
        elif op is c.ANY:
            yield "w"
        else:
            for inner in _inner(op, value):
                yield from letters(inner)


def _inner(op: Any, value: Any) -> list[list[Any]]:
    if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
        return [list(value[2])]
    if op is c.SUBPATTERN:
        return [list(value[3])]
    if op is c.BRANCH:
        return [list(branch) for branch in value[1]]
    if op is c.ATOMIC_GROUP:
        return [list(value)]
    return []


def sample(items: list[Any]) -> str:
    """A string that these parts match, optional ones included."""
    made = ""
    for op, value in items:
        if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            low, high, inner = value
            made += sample(list(inner)) * max(low, min(high, 1))
        elif op is c.IN and value[0][0] is c.NEGATE:
            made += "w"
        elif op in (c.SUBPATTERN, c.BRANCH, c.ATOMIC_GROUP):
            made += sample(_inner(op, value)[0])
        else:
            made += next(letters([(op, value)]), "")
    return made


def beginnings(items: list[Any]) -> Iterator[str]:
    for count in range(len(items) + 1):
        before = sample(items[:count])
        yield before
        if count < len(items):
            for inner in _inner(*items[count]):
                yield from (before + begun for begun in beginnings(inner))


def worst(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    items = parsed(pattern)
    known = list(dict.fromkeys(letters(items)))[:10]
    whole = sample(items)
    begun = list(dict.fromkeys(beginnings(items)))[:24]
    pumps = [*known, *(a + b for a, b in pairwise(known)), whole, *begun[1:6]]
    yield from product(begun, [pump for pump in dict.fromkeys(pumps) if pump], ("", "\0"))


def seconds(use: Use, text: str) -> float:
    """CPU time, the better of two runs. Limits of the calling code on the length do not count."""
    given: Any = text.encode("latin-1", "replace") if isinstance(use.pattern.pattern, bytes) else text
    arguments = ("x", given) if use.method in ("sub", "subn") else (given,)
    if isinstance(use.pattern.pattern, bytes) and use.method in ("sub", "subn"):
        arguments = (b"x", given)  # type: ignore[assignment]
    best = 9.0
    for _ in range(2):
        began = time.thread_time()
        found = getattr(use.pattern, use.method)(*arguments)
        if use.method == "finditer":
            list(found)
        best = min(best, time.thread_time() - began)
        if best < 0.02:
            break
    return best


@pytest.fixture(scope="module")
def found() -> list[Use]:
    """All uses of patterns. Not made at import: every process that collects the tests would import all modules."""
    return sorted(set(uses()), key=lambda use: (use.where, use.method))


def check(use: Use) -> None:
    """Eight times the text may take 24 times as long; quadratic time is 64 times as long."""
    for before, pump, after in worst(use.pattern):
        lengths = [MANY // 8 // len(pump) + 1, MANY // len(pump) + 1]
        long = seconds(use, before + pump * lengths[1] + after)
        if long > 0.02:
            short = seconds(use, before + pump * lengths[0] + after)
            assert long < 24 * short, (before[:80], pump[:80], after, short, long)


def test_each_pattern_is_linear(found: list[Use]) -> None:
    """No pattern is slow for the worst strings that are made from it."""
    assert len(found) > 50
    slow = []
    for use in found:
        try:
            check(use)
        except AssertionError as error:
            slow.append(f"{use.where}.{use.method}: {error}")
    assert slow == []


@pytest.mark.parametrize(
    ("method", "pattern"),
    [
        ("sub", r"\.?[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
        ("finditer", r"<(CallBack|Url)>\s*(?:https?://[^/<\s]+)?([^<\s]+)\s*</\1>"),
        ("fullmatch", r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*"),
        ("search", r"\s+\Z"),
    ],
)
def test_a_pattern_that_is_not_linear_is_found(method: str, pattern: str) -> None:
    """``check`` fails for patterns that are known to be slow."""
    with pytest.raises(AssertionError):
        check(Use("here", method, re.compile(pattern)))


def test_all_patterns_are_found(found: list[Use]) -> None:
    """In each module at least as many are found as its source has calls of ``re.compile``."""
    sources = [path for package in ("app", "workers") for path in sorted((ROOT / package).rglob("*.py"))]
    for path in sources:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        made = len(re.findall(r"\bre\.compile\(", path.read_text()))
        seen = {use.where for use in found if use.where.startswith(f"{module}.") and ":" not in use.where}
        mine = {where for where in seen if where.rpartition(".")[0] == module}
        assert len(mine) >= made, path
