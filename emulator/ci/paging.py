"""`pageNumber` and `pageSize` of the lists of queues and templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from emulator.http.errors import EmulatorError
from emulator.http.tree import Tree

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    number: int
    size: int

    def of(self, items: Sequence[T]) -> Sequence[T]:
        return items[(self.number - 1) * self.size : self.number * self.size]

    def head(self, total: int, request_id: str) -> Tree:
        """The paging fields of an answer."""
        return {
            "RequestId": request_id,
            "TotalCount": str(total),
            "PageNumber": str(self.number),
            "PageSize": str(self.size),
        }


def page_of(params: Mapping[str, str]) -> Page:
    """The requested page; by default the first, of ten items. Raises EmulatorError `InvalidArgument`."""
    return Page(_number(params, "pageNumber", 1, 10**6), _number(params, "pageSize", 10, 100))


def _number(params: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = params.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise EmulatorError("InvalidArgument", f"{name} must be 1 to {most}.")
    return int(text)
