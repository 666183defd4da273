"""Many requests in one file: a CSV whose columns are the fields' dotted names, or JSON lines like ``POST /v1/jobs``."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO, get_args

from pydantic import BaseModel

from app.ci.outgoing.broken import Broken
from app.ci.outgoing.request import SubmitRequest

_LISTS = frozenset({"allow"})
_NO_COLUMN = frozenset({"operations", "operation"})
"""Trees: only JSON lines can hold them."""


RowStatus = Literal["submitted", "before", "lost", "refused", "failed", "ready"]


class UnreadableFile(ValueError):
    """The whole file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request: ``number`` is its line (CSV: its row, without the header); blank ones count. ``key`` is unique in
    the file, and the same when the file is read again."""

    number: int
    key: str
    data: Any
    fault: str | None = field(default=None)


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of a row: ``submitted`` now or ``before``; ``lost`` (CI's answer; its jobs are searched for);
    ``refused`` by our rules; ``failed`` (CI rejected it: ``ci_code`` and the rest); ``ready`` (a dry run).
    ``broken``: the rules that it breaks, warnings too."""

    row: Row
    status: RowStatus
    submission: str | None = None
    job_ids: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()
    error: str | None = None
    ci_code: str | None = None
    ci_request_id: str | None = None


def columns() -> tuple[str, ...]:
    """The names that a CSV may have as its columns, beside ``labels.<name>``."""
    return tuple(name for name in _names(SubmitRequest) if name != "labels")


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"output.object": "x"}`` as ``{"output": {"object": "x"}}``; empty values are left out."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if value in {None, ""} if not isinstance(value, list | dict) else not value:
            continue
        place, path = nested, name.split(".")
        if path[0] == "labels":
            path = ["labels", name.partition(".")[2]]
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = value
    if "voice_separate" in nested:
        # CI requires the container, and not what is in it; a flat form cannot say an empty one.
        nested["voice_separate"].setdefault("audio_config", {})
    return nested


def over(below: Mapping[str, Any], above: Any) -> Any:
    """``above``; what it leaves out is taken from ``below``."""
    if not isinstance(above, Mapping):
        return above
    merged = dict(below)
    for name, value in above.items():
        lower = below.get(name)
        merged[name] = over(lower, value) if isinstance(lower, Mapping) else value
    return merged


def read_csv(file: TextIO, common: Mapping[str, Any]) -> list[Row]:
    """The rows of a CSV, ``common`` filling in what they leave out. Raises ``UnreadableFile``."""
    try:
        reader = csv.reader(file, strict=True)
        names = next(reader, None)
        _check_columns(names)
        found = [(number, *_csv_row(names or [], cells)) for number, cells in enumerate(reader, 1) if cells]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableFile(f"This is not a CSV in UTF-8: {error}.") from None
    return _rows((number, over(common, data), fault) for number, data, fault in found)


def read_json_lines(file: TextIO, common: Mapping[str, Any]) -> list[Row]:
    """The rows of a file with one JSON object a line, ``common`` filling in what they leave out."""
    try:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"This is not text in UTF-8: {error}.") from None
    return _rows((number, *_json_row(line, common)) for number, line in lines)


def _names(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        if name in _NO_COLUMN:
            continue
        kinds = [info.annotation, *get_args(info.annotation)]
        part = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if part:
            yield from _names(part, f"{path}{name}.")
        else:
            yield path + name


def _check_columns(names: Iterable[str] | None) -> None:
    if names is None:
        raise UnreadableFile("The file is empty: its first line names the columns.")
    given = list(names)
    unknown = [name for name in given if name not in columns() and not name.startswith("labels.")]
    if unknown:
        named = ", ".join(repr(name[:60]) for name in unknown[:10])
        raise UnreadableFile(
            f"Unknown columns: {named}. There are: {', '.join(columns())}, and labels.<name>."
        )
    twice = [name for name, count in Counter(given).items() if count > 1]
    if twice:
        raise UnreadableFile(f"These columns appear twice: {', '.join(twice[:10])}.")


def _csv_row(names: list[str], cells: list[str]) -> tuple[dict[str, Any], str | None]:
    if len(cells) > len(names):
        return {}, "has more cells than there are columns"
    flat = {
        name: value.split() if name in _LISTS else value for name, value in zip(names, cells, strict=False)
    }
    return nest(flat), None


def _json_row(line: str, common: Mapping[str, Any]) -> tuple[Any, str | None]:
    try:
        return over(common, json.loads(line)), None
    except (ValueError, RecursionError):
        return {}, "is not one JSON object on one line"


def _rows(found: Iterable[tuple[int, Any, str | None]]) -> list[Row]:
    """A row that appears twice is two jobs: the second has a key of its own."""
    seen: Counter[str] = Counter()
    rows = []
    for number, data, fault in found:
        content = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
        seen[content] += 1
        rows.append(Row(number, f"{content}.{seen[content]}", data, fault))
    return rows
