"""Each operation as a value: what is sent, and how its answer is read. No network, so both clients share it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from ci_receiver_client.documents import Job, Receipt, Replay, State, Submission, Warned
from ci_receiver_client.errors import Problem, UnexpectedAnswer

T = TypeVar("T")

LONGEST_WAIT_S = 60.0
"""How long the service holds one answer at most."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request; ``read`` makes a document of its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    held_s: float = 0.0
    """How long the service may hold the answer."""


class Page(Struct, frozen=True, kw_only=True):
    """One page of jobs; only a ``next_cursor`` of None is the end."""

    jobs: tuple[Job, ...]
    next_cursor: str | None = None


class _Several(Struct, frozen=True, kw_only=True):
    """What the answers to a submit have in common; one job stands alone, without ``jobs``."""

    jobs: tuple[Job, ...] = ()
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which jobs; what is given must match exactly."""

    state: State | str | None = None
    tag: str | None = None
    queue_id: str | None = None
    bucket: str | None = None
    input_object: str | None = None
    user_data: str | None = None
    overdue: bool | None = None
    created_after: datetime | str | None = None
    created_before: datetime | str | None = None
    labels: Mapping[str, str] | None = None

    def query(self) -> dict[str, str]:
        names = [name for name in self.__dataclass_fields__ if name != "labels"]
        given = {name: _as_text(value) for name in names if (value := getattr(self, name)) is not None}
        return given | {f"label.{name}": value for name, value in (self.labels or {}).items()}


def submit(request: Mapping[str, Any], idempotency_key: str | None) -> Call[Receipt]:
    headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
    return Call("POST", "/v1/jobs", _receipt, body=dict(request), headers=headers)


def submission(submission_id: str) -> Call[Submission]:
    return Call("GET", f"/v1/submissions/{_part(submission_id)}", _reads(Submission))


def get(job_id: str, held_s: float = 0.0) -> Call[Job]:
    query = {"wait": f"{held_s:.3f}"} if held_s else {}
    return Call("GET", f"/v1/jobs/{_part(job_id)}", _reads(Job), query=query, held_s=held_s)


def refresh(job_id: str) -> Call[Job]:
    return Call("POST", f"/v1/jobs/{_part(job_id)}/refresh", _reads(Job))


def page(filters: Filters, page_size: int, cursor: str | None) -> Call[Page]:
    query = filters.query() | {"limit": str(page_size)} | ({"cursor": cursor} if cursor else {})
    return Call("GET", "/v1/jobs", _reads(Page), query=query)


def replay(job_id: str, handler: str | None, endpoint: str | None) -> Call[Replay]:
    given = {"handler": handler, "endpoint": endpoint}
    query = {name: value for name, value in given.items() if value is not None}
    return Call("POST", f"/v1/jobs/{_part(job_id)}/replay", _reads(Replay), query=query)


def refused(answer: httpx.Response) -> Problem | UnexpectedAnswer:
    """The error of an answer that is no success, its body read."""
    if answer.headers.get("Content-Type", "").partition(";")[0] == "application/problem+json":
        return Problem(answer.json(), _seconds(answer.headers.get("Retry-After")))
    return UnexpectedAnswer(answer.status_code)


def _reads(document: type[T]) -> Callable[[httpx.Response], T]:
    def read(answer: httpx.Response) -> T:
        try:
            return msgspec.json.decode(answer.content, type=document)
        except msgspec.DecodeError:
            raise UnexpectedAnswer(answer.status_code) from None

    return read


def _receipt(answer: httpx.Response) -> Receipt:
    several = _reads(_Several)(answer)
    if answer.status_code == 202:
        return Receipt(submission=_reads(Submission)(answer), warnings=several.warnings)
    return Receipt(jobs=several.jobs or (_reads(Job)(answer),), warnings=several.warnings)


def _part(text: str) -> str:
    """A part of a path: an id must not lead to another one."""
    return quote(text, safe="")


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None
