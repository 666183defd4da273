"""/openapi.json, generated from the models that the views return; /docs shows it (app/pages/reference.py)."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from inspect import cleandoc
from typing import Any

from flask import Flask, current_app
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from app.api.document.fields import meaning
from app.api.document.introduction import GROUPS, INTRODUCTION, group_of
from app.receiver.views import CALLBACK_PROBLEMS, Results
from app.web.describe import ApiOperation
from app.web.problems import PROBLEMS

_REF = "#/components/schemas/{model}"
_ALWAYS = ("unauthorized", "forbidden", "too_many_requests", "not_acceptable", "store_unavailable")
_OF_A_BODY = (
    "malformed_json", "too_complex", "incomplete_body", "slow_body", "body_too_large", "content_encoding",
    "invalid_request",
)  # fmt: skip


# The receiver is a layer below the API, so its description is here.
_BELOW = {
    "receiver.callback": ApiOperation(
        "The endpoint that CI calls: one or more jobs in XML or JSON, detected by the first byte; all or nothing.",
        raw=("application/xml", "application/json"),
        answers={200: Results},
        problems=CALLBACK_PROBLEMS,
        open=True,
    )
}


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


def init_app(app: Flask) -> None:
    @app.get("/openapi.json")
    def openapi() -> dict[str, Any]:
        return openapi_document()


@cache
def _models() -> tuple[dict[tuple[type[BaseModel], str], dict[str, Any]], dict[str, Any]]:
    operations = [operation for _, operation, _ in _operations()]
    wanted: list[tuple[type[BaseModel], Any]] = [(ProblemDocument, "serialization")]
    for operation in operations:
        wanted += [(m, "validation") for m in (operation.query, operation.body) if m]
        wanted += [(operation.event, "serialization")] if operation.event else []
        wanted += [(m, "serialization") for m in operation.answers.values() if isinstance(m, type)]
    refs, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    schemas = definitions["$defs"]
    for name, schema in schemas.items():
        _describe(name, schema)
    return refs, schemas  # type: ignore[return-value]


def _describe(name: str, schema: dict[str, Any]) -> None:
    for field, described in schema.get("properties", {}).items():
        if "description" not in described and (text := meaning(name, field)):
            described["description"] = text


def _operations() -> list[tuple[Rule, ApiOperation, tuple[str, ...]]]:
    found = []
    for rule in current_app.url_map.iter_rules():
        view = current_app.view_functions[rule.endpoint]
        operation = (
            _BELOW.get(rule.endpoint)
            or getattr(view, "operation", None)
            or getattr(getattr(view, "__wrapped__", None), "operation", None)
        )
        if operation:
            found.append((rule, operation, getattr(view, "scopes", ())))
    return sorted(found, key=lambda each: each[0].rule)


@cache
def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the current application."""
    refs, schemas = _models()
    paths: dict[str, dict[str, Any]] = {}
    for rule, operation, scopes in _operations():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            key = f"{method.lower()} {path}"
            paths.setdefault(path, {})[method.lower()] = _operation(
                rule, key, operation, scopes, refs, schemas
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "CI callback receiver", "version": "1", "description": INTRODUCTION},
        # Relative to this document, so that a path prefix of PUBLIC_URL holds.
        "servers": [{"url": "./", "description": "This service."}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _operation(
    rule: Rule,
    key: str,
    operation: ApiOperation,
    scopes: tuple[str, ...],
    refs: dict[Any, dict[str, Any]],
    schemas: dict[str, Any],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "summary": operation.summary.replace("`", ""),
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [group_of(rule.rule)],
        "description": _said(operation, scopes),
        "parameters": [*_path(rule), *_query(operation, refs, schemas), *_headers(operation)],
        "responses": {
            str(status): _answer(answer, operation, refs) for status, answer in operation.answers.items()
        }
        | _problems(rule, operation, refs),
    }
    _exemplify(document["responses"], _examples().get(key, {}).get("answers", {}))
    if operation.open:
        document["security"] = []
    if operation.raw:
        bytes_ = {"schema": {"type": "string", "format": "binary"}}
        document["requestBody"] = {"required": True, "content": dict.fromkeys(operation.raw, bytes_)}
    if operation.body:
        schema = refs[operation.body, "validation"]
        content = {"schema": schema} | {k: v for k, v in _examples().get(key, {}).items() if k == "example"}
        document["requestBody"] = {"required": True, "content": {"application/json": content}}
    return document


@cache
def _examples() -> dict[str, Any]:
    """Real answers, by method and path: ``python -m docs.examples`` asks for them."""
    found: dict[str, Any] = json.loads(files("app.api.document").joinpath("examples.json").read_bytes())
    return found


def _exemplify(responses: dict[str, Any], answers: dict[str, Any]) -> None:
    for status, answer in answers.items():
        for content in responses[status]["content"].values():
            content["example"] = answer


def _said(operation: ApiOperation, scopes: tuple[str, ...]) -> str:
    named = " and ".join(f"`{scope}`" for scope in scopes)
    needs = f"Needs the scope{'s' * (len(scopes) > 1)} {named}." if scopes else "Needs no key."
    return f"{operation.summary.rstrip('.')}. {needs}"


def _path(rule: Rule) -> list[dict[str, Any]]:
    kinds = {
        name: "integer" if "Integer" in type(rule._converters[name]).__name__ else "string"
        for name in rule.arguments
    }
    about = rule.endpoint.replace(".", "_")
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": meaning(about, name),
            "schema": {"type": kind},
        }
        for name, kind in kinds.items()
    ]


def _query(
    operation: ApiOperation, refs: dict[Any, dict[str, Any]], schemas: dict[str, Any]
) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    name = refs[operation.query, "validation"]["$ref"].rpartition("/")[2]
    properties = schemas[name]["properties"]
    found: list[dict[str, Any]] = [
        {
            "name": field,
            "in": "query",
            "required": False,
            "description": schema.get("description"),
            "schema": schema,
        }
        for field, schema in properties.items()
    ]
    if patterns := schemas[name].get("patternProperties"):
        # With this style each member is a parameter of its own, as `label.show=news`.
        members = {"type": "object", "patternProperties": patterns, "additionalProperties": False}
        found.append(
            {
                "name": "label",
                "in": "query",
                "required": False,
                "description": meaning("JobsQuery", "label"),
                "style": "form",
                "explode": True,
                "schema": members,
            }
        )
    return found


def _headers(operation: ApiOperation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]


def _answer(
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


def _problems(rule: Rule, operation: ApiOperation, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
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
