"""Is a document as the OpenAPI document describes it?"""

from __future__ import annotations

from typing import Any


def faults(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> list[str]:
    """What in ``value`` is not as ``schema`` (JSON Schema, as far as we use it) has it, by place."""
    if "$ref" in schema:
        named: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            named = named[part]
        return faults(value, named, document, at)
    if "anyOf" in schema:
        tried = [faults(value, each, document, at) for each in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: fits none of anyOf: {tried}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [f"{at}: {value!r} is no {kinds}"]
    found = (
        [f"{at}: {value!r} is not in {schema['enum']}"] if value not in schema.get("enum", [value]) else []
    )
    if isinstance(value, dict):
        return found + _faults_of_object(value, schema, document, at)
    if isinstance(value, list) and "items" in schema:
        found += [
            f for n, inner in enumerate(value) for f in faults(inner, schema["items"], document, f"{at}[{n}]")
        ]
    return found


def _faults_of_object(
    value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], at: str
) -> list[str]:
    known, more = schema.get("properties"), schema.get("additionalProperties", True)
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, inner in value.items():
        if known and name in known:
            found += faults(inner, known[name], document, f"{at}.{name}")
        elif isinstance(more, dict):
            found += faults(inner, more, document, f"{at}.{name}")
        elif known or not more:
            found.append(f"{at}: {name} is not described")
    return found


def _is(value: Any, kind: str) -> bool:
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "integer": int, "number": int | float, "boolean": bool,
        "null": type(None),
    }  # fmt: skip
    return isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool))
