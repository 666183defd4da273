"""The answers of an operation: what it returns, and the problems that it may report."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

from pydantic import BaseModel
from werkzeug.routing import Rule

from app.web.describe import ApiOperation
from app.web.problems import PROBLEMS

_ALWAYS = ("unauthorized", "forbidden", "too_many_requests", "not_acceptable", "store_unavailable")
_OF_A_BODY = (
    "malformed_json", "too_complex", "incomplete_body", "slow_body", "body_too_large", "content_encoding",
    "invalid_request",
)  # fmt: skip


class ProblemDocument(BaseModel):
    """RFC 9457. ``reason`` is one machine word; ``errors`` has every fault of a request, ``warnings`` what may be a
    mistake. If an error or warning has a ``word``, that word in ``allow`` may let it through."""

    type: str
    title: str
    status: int
    reason: str
    detail: str | None = None
    errors: list[dict[str, str]] | None = None
    warnings: list[dict[str, str]] | None = None


def answer_of(
    answer: type[BaseModel] | str, operation: ApiOperation, refs: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    if isinstance(answer, type):
        schema = refs[answer, "serialization"]
        return {
            "description": cleandoc(answer.__doc__ or ""),
            "content": {"application/json": {"schema": schema}},
        }
    if operation.event:
        # OpenAPI 3.1 cannot describe the events of a stream: https://spec.openapis.org/oas/v3.2.0#sequential-media-types
        text = {"type": "string", "x-data-of-each-event": refs[operation.event, "serialization"]}
        return {"description": answer, "content": {answer: {"schema": text}}}
    if answer:
        return {
            "description": answer,
            "content": {answer: {"schema": {"type": "string", "format": "binary"}}},
        }
    return {"description": "Not modified"}


def problems(rule: Rule, operation: ApiOperation, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    reasons = list(operation.problems)
    if not operation.open:
        has_own = any(PROBLEMS[reason][0] == 404 for reason in operation.problems)
        reasons += [*_ALWAYS, *(("not_found",) if rule.arguments and not has_own else ())]
    reasons += ["invalid_request"] if operation.query else []
    reasons += _OF_A_BODY if operation.body else ()
    by_status: dict[str, list[str]] = {}
    for reason in dict.fromkeys(reasons):
        by_status.setdefault(str(PROBLEMS[reason][0]), []).append(reason)
    schema = refs[ProblemDocument, "serialization"]
    return {
        status: {
            "description": ", ".join(words),
            "content": {"application/problem+json": {"schema": schema, "example": _problem(words[0])}},
        }
        for status, words in by_status.items()
    }


def _problem(reason: str) -> dict[str, Any]:
    status, title = PROBLEMS[reason]
    return {"type": f"/problems/{reason}", "title": title, "status": status, "reason": reason}
