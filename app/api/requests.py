"""Reading queries and bodies into typed values; every fault is named at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from flask import Flask, Response, request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from app.ci.incoming import json_view, limits
from app.ci.incoming.refused import Refused
from app.ci.outgoing.described import rule_of_fields
from app.redis.cursors import PATTERN, BadCursor, decode_cursor
from app.web.body import read_body as read_bytes
from app.web.problems import Problem
from app.web.services import services

M = TypeVar("M", bound=BaseModel)

LABEL_FILTER = "label.<name>"
"""How the filter by a label is written where its name may be any."""


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_WORDS: Final = {"true": True, "false": False}


def _dated(value: object) -> object:
    """A number is refused, because it could be seconds or milliseconds since 1970."""
    if isinstance(value, str) and _DATE.match(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    raise ValueError("must be a time in RFC 3339, such as 2024-03-05T14:00:31Z, or a date")


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _flag(value: object, info: ValidationInfo) -> object:
    """In a query ``true`` and ``false`` are words; in JSON they are not."""
    return _WORDS.get(value, value) if info.context == "query" and isinstance(value, str) else value


def _position(value: str) -> str:
    try:
        decode_cursor(value)
    except BadCursor:
        raise ValueError(_BAD_CURSOR) from None
    return value


_BAD_CURSOR: Final = "The cursor is invalid. Leave it out to start from the newest."

Time = Annotated[
    datetime,
    BeforeValidator(_dated),
    AfterValidator(_aware),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}),
]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_flag)]
Cursor = Annotated[str, AfterValidator(_position), WithJsonSchema({"type": "string", "pattern": PATTERN})]


class StrictQuery(BaseModel):
    """Unknown parameters are rejected: a misspelt filter must not widen the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PageQuery(StrictQuery):
    limit: int = Field(50, ge=1, le=200, description="How many a page has at most.")
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before.")


class WaitQuery(StrictQuery):
    """How long to wait."""

    wait: float = Field(0, ge=0, le=60, description="Seconds to wait for the job to end.")


class DismissRequest(BaseModel):
    """Why it is dismissed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)


def filter_or_all(schema: dict[str, Any], filters: Iterable[str]) -> None:
    """Describes a body that has either a filter that is not null, or ``all: true``."""
    names = tuple(filters)
    given = {"not": {"type": "null"}}
    filtered: list[dict[str, Any]] = [{"required": [name], "properties": {name: given}} for name in names]
    none: dict[str, Any] = {name: {"type": "null"} for name in names}
    everything = {"required": ["all"], "properties": {"all": {"const": True}, **none}}
    if labels := schema.get("patternProperties"):
        (pattern,) = labels
        filtered.append({"not": {"propertyNames": {"not": {"pattern": pattern}}}})
        everything["patternProperties"] = {pattern: False}
    some = {"title": "Filtered", "properties": {"all": {"const": False}}, "anyOf": filtered}
    schema |= rule_of_fields({"oneOf": [some, {"title": "All"} | everything]})


def init_app(app: Flask) -> None:
    app.register_error_handler(BadCursor, _bad_cursor)


def _bad_cursor(_: BadCursor) -> Response:
    return Problem("invalid_request", _BAD_CURSOR).response()


def read_query(model: type[M]) -> M:
    """The query of this request. Raises ``Problem`` with every fault; one is a name that is given twice."""
    given = request.args.to_dict(flat=False)
    twice = [{"field": name, "rule": "Given more than once"} for name, values in given.items() if values[1:]]
    return _read(model, {name: values[0] for name, values in given.items()}, "query", twice)


def read_values(model: type[M], values: Mapping[str, object]) -> M:
    """The same for values by name; ``None`` is a missing one. Raises ``Problem`` with every fault."""
    return _read(model, {name: value for name, value in values.items() if value is not None}, "query", [])


def read_document(model: type[M]) -> M:
    """The JSON body of this request. Raises ``Problem`` with every fault."""
    return _read(model, read_json(body_of_request()), "body", [])


def _read(model: type[M], value: object, what: str, faults: list[dict[str, str]]) -> M:
    try:
        found = model.model_validate(value, strict=what == "body" or None, context=what)
    except ValidationError as error:
        faults += [_fault(model, fault) for fault in error.errors()]
    if faults:
        raise Problem("invalid_request", f"The {what} is invalid; see errors.", errors=faults)
    return found


_LABEL_RULE = "A label is a name of 1 to 32 of a-z, 0-9, _, . and -, with a text as its value"


def _fault(model: type[BaseModel], fault: ErrorDetails) -> dict[str, str]:
    place = [str(each) for each in fault["loc"] if each != "[key]"]
    if place[:1] == [LABEL_FILTER]:
        return {"field": f"label.{'.'.join(place[1:])}"[:100], "rule": _LABEL_RULE}
    rule = fault["msg"]
    if fault["type"] == "extra_forbidden" and len(place) == 1:
        names = (info.alias or name for name, info in model.model_fields.items())
        rule = f"There is no such name here. Known are: {', '.join(names)}"
    return {"field": ".".join(place), "rule": rule}


def read_json(body: bytes) -> object:
    """The JSON of a body, whatever its content type says, within the limits of a callback. Raises ``Problem``."""
    try:
        return json_view.strict_view(body, limits.CALLBACK)
    except Refused as error:
        raise Problem(error.reason, str(error)) from None


def body_of_request() -> bytes:
    """The body of this request, bounded as a callback's is."""
    return read_bytes(request.environ, services().settings.max_body)
