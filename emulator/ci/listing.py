"""`GET /jobs?tag=…`: CI's rules for its list of jobs, and paging."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.http.errors import EmulatorError
from emulator.jobs.ids import read_moment
from emulator.jobs.jobs import STATES, Job, load

if TYPE_CHECKING:
    from emulator.account import Target
    from emulator.database import Database

DEFAULT_SIZE, MAX_SIZE = 10, 100


@dataclass(frozen=True)
class Query:
    """A checked list request. `after` is the creation time and row at which the previous page ended."""

    tag: str
    queue_id: str
    ascending: bool
    size: int
    states: tuple[str, ...]
    since: float | None
    until: float | None
    input_object: str
    after: tuple[float, int] | None


def read(params: Mapping[str, str]) -> Query:
    """Check the parameters. Raises EmulatorError `InvalidArgument`."""
    tag = params.get("tag", "")
    if not tag:
        raise EmulatorError("InvalidArgument", "tag is required.")
    order = params.get("orderByTime") or "Desc"
    if order not in {"Desc", "Asc"}:
        raise EmulatorError("InvalidArgument", "orderByTime must be Desc or Asc.")
    return Query(
        tag=tag,
        queue_id=params.get("queueId", ""),
        ascending=order == "Asc",
        size=_size(params.get("size", "")),
        states=_states(params.get("states", "")),
        since=_moment(params, "startCreationTime"),
        until=_moment(params, "endCreationTime"),
        input_object=params.get("inputObject", ""),
        after=_read_token(params.get("nextToken", "")),
    )


def _size(text: str) -> int:
    if not text:
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SIZE):
        raise EmulatorError("InvalidArgument", f"size must be 1 to {MAX_SIZE}.")
    return int(text)


def _states(text: str) -> tuple[str, ...]:
    states = tuple(text.split(",")) if text else ("All",)
    unknown = [state for state in states if state not in {*STATES, "All"}]
    if unknown:
        raise EmulatorError("InvalidArgument", f"states has an unknown state {unknown[0][:100]!r}.")
    return () if "All" in states else states


def _moment(params: Mapping[str, str], name: str) -> float | None:
    text = params.get(name, "")
    if not text:
        return None
    try:
        return read_moment(text)
    except ValueError:
        # A common cause: a + that was not encoded as %2B arrives as a space.
        raise EmulatorError("InvalidArgument", f"{name} must be like 2001-01-01T00:00:00+0800.") from None


def _read_token(token: str) -> tuple[float, int] | None:
    if not token:
        return None
    try:
        created, seq = json.loads(base64.urlsafe_b64decode(token.encode()))
        return float(created), int(seq)
    except (binascii.Error, ValueError, TypeError):
        raise EmulatorError("InvalidArgument", "nextToken is not one that this service gave.") from None


def _token(created: float, seq: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([created, seq]).encode()).decode()


def page(database: Database, target: Target, query: Query) -> tuple[list[Job], str]:
    """One page of jobs and the token of the next one, empty at the end."""
    where, values = _where(target, query)
    direction = "ASC" if query.ascending else "DESC"
    rows = database.rows(
        f"SELECT seq, created, record FROM jobs WHERE {where}"  # noqa: S608  only text of our own
        f" ORDER BY created {direction}, seq {direction} LIMIT ?",
        *values,
        query.size + 1,
    )
    shown = rows[: query.size]
    more = len(rows) > query.size
    return [load(row) for row in shown], _token(shown[-1]["created"], shown[-1]["seq"]) if more else ""


def _where(target: Target, query: Query) -> tuple[str, list[object]]:
    """Times are compared in whole seconds, as CI shows them."""
    terms: list[tuple[str, list[object]]] = [("bucket = ? AND tag = ?", [target.bucket, query.tag])]
    if target.region_given:
        terms.append(("json_extract(record, '$.region') = ?", [target.region]))
    if query.queue_id:
        terms.append(("queue_id = ?", [query.queue_id]))
    if query.input_object:
        terms.append(("input_object = ?", [query.input_object]))
    if query.states:
        terms.append((f"state IN ({', '.join('?' * len(query.states))})", [*query.states]))
    if query.since is not None:
        terms.append(("created >= ?", [query.since]))
    if query.until is not None:
        terms.append(("created < ?", [query.until + 1]))
    if query.after is not None:
        terms.append((f"(created, seq) {'>' if query.ascending else '<'} (?, ?)", [*query.after]))
    return " AND ".join(term for term, _ in terms), [value for _, values in terms for value in values]
