"""A run, and its form in the hash of its event, as run.lua writes it."""

from __future__ import annotations

import json
import re
import secrets
from functools import partial
from typing import Any, Literal

from msgspec import Struct, field

from app.core.clock import rfc3339, time_of, to_ms
from app.store.events.event import tag_in

OUTPUTS_HANDLER = "check_outputs"
"""The handler whose runs the relay performs, because it only waits for COS."""
RunState = Literal["waiting", "running", "done", "failed", "dismissed"]


class Run(Struct, frozen=True):
    """One run; ``tries`` are its tries so far, oldest first.

    ``forgiven``: how many of them no longer count, because a person retried the run; ``acts`` says who, and when.
    ``count``: how many events of a burst it stands for. ``job_id`` is empty if the event is a submission's own.
    """

    id: str
    event_id: str
    job_id: str
    handler: str
    endpoint: str | None
    state: RunState
    tries: tuple[dict[str, Any], ...]
    tag: str | None = None
    forgiven: int = 0
    count: int = 1
    ended_at: str | None = None
    note: str | None = None
    acts: tuple[dict[str, Any], ...] = ()


class Start(Struct, frozen=True):
    """The request to begin a try: the run is leased for ``lease_s`` seconds, if it has had fewer than ``tries``.
    ``holder`` is unique: a repeat of the same request, whose answer was lost, gets the same answer."""

    run_id: str
    lease_s: float
    tries: int
    worker: str
    holder: str = field(default_factory=partial(secrets.token_hex, 4))


class End(Struct, frozen=True):
    """The end of try ``number``. With the ``state`` ``waiting`` it is retried in ``again_in_s`` seconds."""

    run_id: str
    number: int
    state: RunState
    entry: dict[str, Any]
    again_in_s: float = 0


def run_id(event_id: str, handler: str, endpoint: str | None = None) -> str:
    return "|".join(filter(None, (event_id, handler, endpoint)))


def parts_of(each: str) -> tuple[str, str, str]:
    """Event id, handler and endpoint (or '') of a run."""
    event, handler, endpoint = (*each.split("|", 2), "", "")[:3]
    return event, handler, endpoint


def stored_try(entry: dict[str, Any]) -> str:
    """The stored form of a try. For one that succeeded only start (ms), duration (ms) and worker, so that the run's
    hash stays compact."""
    short = [to_ms(entry.get("started_at")), entry.get("ms"), entry.get("worker")]
    is_usual = None not in short and _try(entry["n"], json.dumps(short)) == entry
    return json.dumps(short if is_usual else entry, separators=(",", ":"))


def _try(number: int, stored: str) -> dict[str, Any]:
    """The inverse of ``stored_try``; also reads what start.lua writes."""
    entry = json.loads(stored)
    if isinstance(entry, dict):
        return entry | ({"started_at": time_of(str(entry["started_at"]))} if "started_at" in entry else {})
    if len(entry) == 2:
        started, worker = entry
        return {"n": number, "started_at": time_of(str(started)), "worker": worker}
    started, took, worker = entry
    times = {"started_at": rfc3339(started), "ended_at": rfc3339(started + (took or 0)), "ms": took}
    return {"n": number, **times, "worker": worker, "error": None}


def field_of(name: str, each: str) -> str:
    """The name of a field in an event's hash, as in run.lua."""
    return f"{name}|{each.partition('|')[2]}"


def runs_in(event: str, kept: dict[str, str]) -> list[str]:
    """The ids of the runs in the hash of an event."""
    return [f"{event}{field.removeprefix('run')}" for field in kept if field.startswith("run|")]


FRESH = b"waiting 0"
"""The form in which plan.lua makes a run."""
_STORED = re.compile(
    r"(?P<state>\w+) (?P<tries>\d+)(?: e(?P<ended>\d+))?(?: f(?P<forgiven>\d+))?(?: (?P<last>.*))?",
    re.DOTALL,
)
"""The form in which run.lua writes it."""


def stored_run(each: str, run: dict[str, str]) -> dict[str, str]:
    """The fields of an event's hash for a run that an earlier release stored in a hash of its own."""
    state, number = run["state"], int(run["tries"])
    words = [state, str(number)]
    for letter, name in (("e", "ended"), ("f", "forgiven")):
        if run.get(name, "0") != "0" and not (name == "ended" and state == "done"):
            words.append(letter + run[name])
    if last := run.get(f"try:{number}"):
        words.append(last)
    others = {f"try:{n}": f"try:{n}" for n in range(1, number)}
    others |= {"acts": "acts", "note": "note", "until": "lease"}
    return {field_of("run", each): " ".join(words)} | {
        field_of(others[name], each): value for name, value in run.items() if name in others
    }


def read_run(each: str, kept: dict[str, str]) -> Run:
    """A run, from the hash of its event."""
    event, handler, endpoint = parts_of(each)
    stored = _STORED.fullmatch(kept[field_of("run", each)])
    if stored is None:
        raise ValueError(f"the run {each} cannot be read")
    number, state = int(stored["tries"]), stored["state"]
    earlier = ((n, kept.get(field_of(f"try:{n}", each))) for n in range(1, number))
    tries = [_try(n, found) for n, found in (*earlier, (number, stored["last"])) if found]
    ended = rfc3339(int(stored["ended"])) if stored["ended"] else None
    return Run(
        id=each,
        event_id=event,
        job_id=kept["job"],
        handler=handler,
        endpoint=endpoint or None,
        state=state,  # type: ignore[arg-type]
        tries=tuple(tries),
        tag=tag_in(kept["line"]) if "line" in kept else None,
        forgiven=int(stored["forgiven"] or 0),
        count=1 + int(kept.get(field_of("more", each), 0)),
        ended_at=tries[-1].get("ended_at") if state == "done" and tries else ended,
        note=kept.get(field_of("note", each)),
        acts=tuple(json.loads(kept.get(field_of("acts", each), "[]"))),
    )
