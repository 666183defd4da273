"""The result of a job: CI's own node as a JSON view, the same from XML and from JSON."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from app.ci.bounds import cut
from app.ci.incoming.fields import text
from app.ci.incoming.made.nodes import made_by, result_names
from app.ci.report import JobResult, Verdict

MAX_DATA: Final = 64 * 1024
"""The longest ``data``, in bytes of JSON, since each event and delivery carries it. ``raw`` has longer ones."""


class _TooLong(Exception):
    """The view is longer than a record may hold."""


def result(detail: Mapping[str, Any], operation: Mapping[str, Any], tag: str | None) -> JobResult | None:
    """The node that the table names for the tag, else the first one whose name ends in ``Result``."""
    named = made_by(tag).result
    names = [named] if named else []
    for name in (*names, *result_names(operation), *result_names(detail)):
        if found := bounded_result(name, operation.get(name) or detail.get(name)):
            return found
    return None


def bounded_result(kind: str, found: Any, verdict: Verdict | None = None) -> JobResult | None:
    """The node; ``None`` if it is empty or too long. A verdict is kept without its data."""
    data = _bounded(found)
    if data is None and verdict is None:
        return None
    return JobResult(kind=cut("result.kind", kind), data=data, verdict=verdict)


def _bounded(found: Any) -> Any:
    if not found:
        return None
    try:
        data = _View().of(found)
    except _TooLong:
        return None
    return data if len(msgspec.json.encode(data)) <= MAX_DATA else None


class _View:
    """Scalars are texts, as in XML; empty nodes are left out; a list of one item is that item; names are sorted."""

    def __init__(self) -> None:
        self._left = MAX_DATA

    def of(self, value: Any) -> Any:
        if isinstance(value, dict) and "#text" not in value:
            return self._node(value)
        if isinstance(value, list):
            several = [found for one in value if (found := self.of(one)) is not None]
            return several if len(several) > 1 else next(iter(several), None)
        found = text(value)
        self._spend(len(found or ""))
        return found

    def _node(self, value: dict[str, Any]) -> dict[str, Any] | None:
        names = [name for name in value if name[:1] not in {"@", "#"}]
        self._spend(sum(map(len, names)) + len(names))
        view = {name: found for name in sorted(names) if (found := self.of(value[name])) is not None}
        return view or None

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise _TooLong
