"""The parameters of an operation: in its path, its query and its headers."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import Rule

from app.api.document.fields import meaning
from app.web.describe import ApiOperation


def in_path(rule: Rule) -> list[dict[str, Any]]:
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


def in_query(
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


def in_headers(operation: ApiOperation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]
