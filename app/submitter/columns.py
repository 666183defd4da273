"""The header of a CSV: its delimiter, its columns, and suggestions for a misspelt one."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any, TextIO, get_args

from pydantic import BaseModel

from app.ci.outgoing.request import SubmitRequest

DELIMITERS = ",;\t"
_NO_COLUMN = frozenset({"operations", "operation"})
"""Fields that are trees: only JSON lines can hold them."""
_NEAR = 0.7


class UnreadableFile(ValueError):
    """The whole file cannot be used; the message says why and what to do."""


def columns() -> tuple[str, ...]:
    """The names that a CSV may have as its columns, beside ``label.<name>``."""
    return tuple(name for name in _names(SubmitRequest) if name != "labels")


def label_of(column: str) -> str | None:
    """The label that a column is for: ``show`` for ``label.show``, or ``labels.show`` as JSON has it."""
    kind, dot, name = column.partition(".")
    return name if dot and kind in {"label", "labels"} else None


def read_table(file: TextIO) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The names of the columns, and the rows, each with its first line in the file. Raises ``UnreadableFile``."""
    first = file.readline()
    # Excel writes the delimiter as a line before the header: `sep=;`.
    separator = first[4:5] if first.lower().startswith("sep=") and first[4:5].strip("\r\n") else ""
    first = file.readline() if separator else first
    if not first.strip():
        raise UnreadableFile("The file is empty: its first line names the columns.")
    rows = csv.reader(chain([first], file), strict=True, delimiter=separator or _delimiter_of(first))
    numbered = _numbered(rows, before=1 if separator else 0)
    _, header = next(numbered)
    names = [name.strip() for name in header]
    _check(names)
    return names, numbered


def _numbered(rows: Any, before: int) -> Iterator[tuple[int, list[str]]]:
    """``rows`` is a ``csv.reader``; a cell may hold lines of its own. ``before``: lines that it does not get."""
    while True:
        line = before + rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableFile(f"This is not a CSV: line {line}: {error}.") from None
        yield line, cells


def _delimiter_of(header: str) -> str:
    """The delimiter with which most of the header's names are known; of two equal ones the more frequent."""
    return max(DELIMITERS, key=lambda each: (_known_in(header, each), header.count(each)))


def _known_in(header: str, delimiter: str) -> int:
    try:
        names = next(csv.reader([header], delimiter=delimiter))
    except csv.Error:
        return 0
    return sum(map(_is_known, (name.strip() for name in names)))


def _is_known(name: str) -> bool:
    return name in columns() or label_of(name) is not None


def _check(names: Sequence[str]) -> None:
    unknown = [name for name in names if not _is_known(name)]
    if unknown:
        named = ", ".join(map(_with_meaning, unknown[:10]))
        raise UnreadableFile(
            f"Unknown columns: {named}. There are: {', '.join(columns())}, and label.<name>."
        )
    # `label.a` and `labels.a` are the same.
    same = Counter(f"label.{label}" if (label := label_of(name)) is not None else name for name in names)
    twice = [name for name, count in same.items() if count > 1]
    if twice:
        raise UnreadableFile(f"These columns appear twice: {', '.join(twice[:10])}.")


def _with_meaning(name: str) -> str:
    meant = meant_by(name)
    return f"{name[:60]!r} (did you mean {' or '.join(meant)}?)" if meant else repr(name[:60])


def meant_by(name: str) -> list[str]:
    """The columns that a misspelt one may mean: the same letters, the last part of a name, or nearly one of these."""
    plain = _letters(name)
    whole = {_letters(each): [each] for each in columns()}
    tails: dict[str, list[str]] = {}
    # The input first: every row has one.
    for each in sorted(columns(), key=lambda each: not each.startswith("input.")):
        tails.setdefault(_letters(each.rpartition(".")[2]), []).append(each)
    found = whole | {tail: tails[tail] for tail in tails.keys() - whole.keys()}
    if plain.startswith("label") and plain not in found:
        rest = name.strip()[len("label") :].lower().removeprefix("s").strip(" .:_-")
        return [f"label.{rest or '<name>'}"]
    near = get_close_matches(plain, found, 1, _NEAR)
    return found[near[0]] if near else []


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _names(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        if name in _NO_COLUMN:
            continue
        kinds: Iterable[object] = (info.annotation, *get_args(info.annotation))
        part = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if part:
            yield from _names(part, f"{path}{name}.")
        else:
            yield path + name
