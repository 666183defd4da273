"""What the OpenAPI document knows of a view: written beside the view, checked against what it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Operation:
    """One view: its summary, the models of its query and body, and of its answers by status.

    ``raw`` are the media types of a body that is no model; ``open`` is one that needs no API key.
    """

    summary: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    answers: dict[int, type[BaseModel] | str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    open: bool = False


def described(operation: Operation) -> Callable[[F], F]:
    def decorate(view: F) -> F:
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return decorate
