"""Many requests in one file: a CSV whose columns are the fields' dotted names, or JSON lines like ``POST /v1/jobs``."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TextIO

from msgspec import Struct, field

from app.ci.outgoing.rules.broken import BrokenRule
from app.submitter.columns import UnreadableFile, label_of, read_table

_LISTS = frozenset({"allow"})

RowStatus = Literal["submitted", "before", "lost", "refused", "failed", "ready"]


class Row(Struct, frozen=True):
    """One request: ``number`` is its line (CSV: its row, without the header); blank ones count. ``key`` is unique in
    the file, and the same when the file is read again. ``line`` is its first line in the file, and ``own`` the dotted
    names of its own fields: the rest of ``data`` is common to all rows."""

    number: int
    key: str
    data: Any
    fault: str | None = field(default=None)
    line: int = 0
    own: frozenset[str] = frozenset()

    @property
    def input_object(self) -> str | None:
        """The input file, as the row writes it."""
        return _text(_member(_member(self.data, "input"), "object"))

    @property
    def user_data(self) -> str | None:
        return _text(_member(self.data, "user_data"))


class RowResult(Struct, frozen=True):
    """The result of a row: ``submitted`` now or ``before``; ``lost`` (CI's answer; its jobs are searched for);
    ``refused`` by our rules; ``failed`` (CI rejected it: ``ci_code`` and the rest); ``ready`` (a dry run).
    ``broken``: the rules that it breaks, warnings too."""

    row: Row
    status: RowStatus
    submission: str | None = None
    job_ids: tuple[str, ...] = ()
    broken: tuple[BrokenRule, ...] = ()
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


def dotted(data: Any, path: str = "") -> Iterator[str]:
    """The dotted names of its values, as ``nest`` takes them; a list is one value."""
    if not isinstance(data, Mapping):
        yield path
        return
    for name, value in data.items():
        yield from dotted(value, f"{path}.{name}" if path else str(name))


def over(below: Mapping[str, Any], above: Any) -> Any:
    """``above``, with what it leaves out taken from ``below``."""
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
        found = [_Found(n, line, *_csv_row(names, cells)) for n, (line, cells) in enumerate(rows, 1) if cells]
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"This is not text in UTF-8: {error}.") from None
    return _rows(found, common)


def read_json_lines(file: TextIO, common: Mapping[str, Any]) -> list[Row]:
    """The rows of a file with one JSON object a line, ``common`` filling in what they leave out."""
    try:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"This is not text in UTF-8: {error}.") from None
    return _rows((_Found(number, number, *_json_row(line)) for number, line in lines), common)


def _csv_row(names: list[str], cells: list[str]) -> tuple[dict[str, Any], str | None]:
    if len(cells) > len(names):
        return {}, "has more cells than there are columns"
    flat = {
        name: value.split() if name in _LISTS else value for name, value in zip(names, cells, strict=False)
    }
    return nest(flat), None


def _json_row(line: str) -> tuple[Any, str | None]:
    try:
        return json.loads(line), None
    except json.JSONDecodeError as error:
        return {}, f"is not one JSON object on one line: {error.msg}, column {error.colno}"
    except (ValueError, RecursionError):
        return {}, "is not one JSON object on one line"


class _Found(NamedTuple):
    number: int
    line: int
    own: Any
    fault: str | None


def _rows(found: Iterable[_Found], common: Mapping[str, Any]) -> list[Row]:
    """A row that appears twice is two jobs: the second has a key of its own."""
    seen: Counter[str] = Counter()
    rows = []
    for each in found:
        data = each.own if each.fault else over(common, each.own)
        content = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
        seen[content] += 1
        key, own = f"{content}.{seen[content]}", frozenset(dotted(each.own))
        rows.append(Row(each.number, key, data, each.fault, each.line, own))
    return rows
