"""Optional fields of a document: they are left out if they are empty."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field

T = TypeVar("T")


def _is_empty(value: object) -> bool:
    return value is None or value == []


WhereKnown = Annotated[T, Field(exclude_if=_is_empty)]
"""Left out of the JSON where it is ``None`` or an empty list."""
