"""What the page of the reference shows of app/api/document/openapi.py: operations, models, types in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup, escape
from msgspec import Struct

_CODE: Final = re.compile(r"`([^`]+)`")
_BOLD: Final = re.compile(r"\*\*([^*]+)\*\*")
_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
}


class FieldRow(Struct, frozen=True):
    """One member of a model, or one parameter: ``place`` is path, query, header or empty."""

    name: str
    type: Markup
    meaning: Markup
    is_required: bool
    place: str = ""


class AnswerRow(Struct, frozen=True):
    """The answer with one status; ``example`` is empty if the document has none."""

    status: str
    meaning: Markup
    type: Markup
    example: str


class OperationRow(Struct, frozen=True):
    """One operation; ``call`` is a command line that performs it."""

    id: str
    method: str
    path: str
    summary: str
    meaning: Markup
    parameters: tuple[FieldRow, ...]
    body: Markup
    call: str
    answers: tuple[AnswerRow, ...]


class OperationGroup(Struct, frozen=True):
    name: str
    meaning: str
    operations: tuple[OperationRow, ...]


class ModelRow(Struct, frozen=True):
    name: str
    meaning: Markup
    fields: tuple[FieldRow, ...]


def operation_groups(document: Mapping[str, Any]) -> list[OperationGroup]:
    """Operations in the order of the document's tags."""
    rows = [
        (operation["tags"][0], _operation(method.upper(), path, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return [
        OperationGroup(
            tag["name"], tag["description"], tuple(row for name, row in rows if name == tag["name"])
        )
        for tag in document["tags"]
    ]


def models(document: Mapping[str, Any]) -> list[ModelRow]:
    """By name."""
    return [
        ModelRow(name, prose(schema.get("description", "")), tuple(_fields(schema)))
        for name, schema in sorted(document["components"]["schemas"].items())
    ]


def prose(text: str) -> Markup:
    """Paragraphs with ``code`` and **bold**; nothing else of Markdown."""
    plain = str(escape(text)).replace("``", "`")  # of docstrings
    marked = _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", plain))
    return Markup("\n").join(Markup(f"<p>{each}</p>") for each in marked.split("\n\n") if each)  # noqa: S704 - escaped


def type_words(schema: Mapping[str, Any]) -> Markup:
    """The type in words; a model is a link to its fields."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return Markup(" or ").join(dict.fromkeys(type_words(each) for each in choices))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(" or ").join(Markup("<code>{}</code>").format(json.dumps(each)) for each in values)
    if schema.get("type") == "array":
        return Markup("list of ") + type_words(schema.get("items", {}))
    kinds = schema.get("type", "anything")
    words = " or ".join(kinds) if isinstance(kinds, list) else kinds
    details = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return escape(", ".join([words, *([schema["format"]] if "format" in schema else []), *details]))


def _fields(schema: Mapping[str, Any]) -> Iterator[FieldRow]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield FieldRow(name, type_words(field), prose(field.get("description", "")), name in required)
    for pattern, field in schema.get("patternProperties", {}).items():
        yield FieldRow(pattern, type_words(field), prose(field.get("description", "")), False)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> OperationRow:
    body: dict[str, dict[str, Any]] = operation.get("requestBody", {}).get("content", {})
    return OperationRow(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        meaning=prose(operation["description"]),
        parameters=tuple(
            FieldRow(
                each["name"],
                type_words(each["schema"]),
                prose(each.get("description") or ""),
                each["required"],
                each["in"],
            )
            for each in operation["parameters"]
        ),
        body=Markup(" or ").join(
            Markup("{} ({})").format(type_words(content["schema"]), media) for media, content in body.items()
        ),
        call=_call(method, path, operation, body),
        answers=tuple(_answers(operation["responses"])),
    )


def _answers(responses: Mapping[str, Any]) -> Iterator[AnswerRow]:
    for status, response in sorted(responses.items()):
        content: dict[str, Any] = next(iter(response.get("content", {}).values()), {})
        example = content.get("example")
        yield AnswerRow(
            status,
            prose(response["description"]),
            type_words(content["schema"]) if content else Markup(),
            json.dumps(example, indent=2, ensure_ascii=False) if example is not None else "",
        )


def _call(method: str, path: str, operation: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    words = ["curl", *(["-X", method] if method != "GET" else []), f'"$URL{path}"']
    if operation.get("security") != []:
        words += ["-H", '"Authorization: Bearer $KEY"']
    for media, content in list(body.items())[:1]:
        sent = json.dumps(content["example"]) if "example" in content else "@FILE"
        words += ["-H", f'"Content-Type: {media}"', "--data-binary", f"'{sent}'" if sent[0] != "@" else sent]
    return " ".join(words)
