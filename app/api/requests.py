"""Reading queries and bodies into typed values; every fault is named at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeVar

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.problems import Problem

M = TypeVar("M", bound=BaseModel)


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Time = Annotated[datetime, AfterValidator(_aware)]


class Query(BaseModel):
    """Unknown parameters are refused: a misspelt filter must not widen the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WaitQuery(Query):
    wait: float = Field(0, ge=0, le=60, description="Seconds to wait for the job to end.")


class ListQuery(Query):
    state: str | None = None
    tag: str | None = None
    queue_id: str | None = None
    bucket: str | None = None
    input_object: str | None = None
    user_data: str | None = None
    overdue: bool | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = None


def read_query(model: type[M]) -> M:
    """The query of this request. Raises ``Problem`` with every fault."""
    return _read(model, request.args.to_dict(), "query")


def read_body(model: type[M]) -> M:
    """The JSON body of this request. Raises ``Problem`` with every fault."""
    return _read(model, read_json(), "body")


def _read(model: type[M], value: object, what: str) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            {"field": ".".join(map(str, fault["loc"])), "rule": fault["msg"]} for fault in error.errors()
        ]
        raise Problem("invalid_request", f"The {what} breaks rules; see errors.", errors=faults) from None


def read_json() -> object:
    """The JSON body of this request, whatever its content type says."""
    value: object = request.get_json(force=True, silent=True)
    if value is None:
        raise Problem("malformed_json", "The body must be a JSON object.")
    return value
