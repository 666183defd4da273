"""/openapi.json, generated from the models that the views return; /docs shows it (app/pages/reference.py)."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from flask import Flask, current_app
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from app.api.document.answers import ProblemDocument, answer_of, problems
from app.api.document.fields import meaning
from app.api.document.introduction import GROUPS, INTRODUCTION, group_of
from app.api.document.parameters import in_headers, in_path, in_query
from app.receiver.views import CALLBACK_PROBLEMS, Results
from app.web.describe import ApiOperation

_REF = "#/components/schemas/{model}"


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
        "parameters": [*in_path(rule), *in_query(operation, refs, schemas), *in_headers(operation)],
        "responses": {
            str(status): answer_of(answer, operation, refs) for status, answer in operation.answers.items()
        }
        | problems(rule, operation, refs),
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
