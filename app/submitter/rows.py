"""Many requests in one file: a CSV whose columns are the fields' dotted names, or JSON lines like ``POST /v1/jobs``."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from app.ci.outgoing.broken import Broken
from app.submitter.columns import UnreadableFile, label_of, read_table

_LISTS = frozenset({"allow"})

RowStatus = Literal["submitted", "before", "lost", "refused", "failed", "ready"]


@dataclass(frozen=True, slots=True)
class Row:
    """One request: ``number`` is its line (CSV: its row, without the header); blank ones count. ``key`` is unique in
    the file, and the same when the file is read again."""

    number: int
    key: str
    data: Any
    fault: str | None = field(default=None)

    @property
    def input_object(self) -> str | None:
        """The file that it is about, as it is written in the row."""
        return _text(_member(_member(self.data, "input"), "object"))

    @property
    def user_data(self) -> str | None:
        return _text(_member(self.data, "user_data"))


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


def _member(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, Mapping) else None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"output.object": "x"}`` as ``{"output": {"object": "x"}}``; empty values are left out."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if value in {None, ""} if not isinstance(value, list | dict) else not value:
            continue
        place, path = nested, name.split(".")
        if (label := label_of(name)) is not None:
            path = ["labels", label]
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
    """The rows of a CSV, its cells separated by commas, semicolons or tabs; ``common`` fills in what they leave out.
    Raises ``UnreadableFile``."""
    try:
        names, rows = read_table(file)
        found = [(number, *_csv_row(names, cells)) for number, cells in enumerate(rows, 1) if cells]
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
