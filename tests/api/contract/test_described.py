"""Nothing in the OpenAPI document is left unsaid."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.document.fields import FIELD_MEANINGS


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    return found


def test_every_field_says_what_it_means(document: dict[str, Any]) -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    ]
    assert silent == []


def test_every_sentence_about_a_field_is_used(document: dict[str, Any]) -> None:
    """No description is left of a field that was renamed."""
    said = set()

    def walk(node: Any) -> None:
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(each)
        if isinstance(node, dict) and isinstance(node.get("description"), str):
            said.add(node["description"])

    walk(document)
    assert {name for name, text in FIELD_MEANINGS.items() if text not in said} == set()


def test_every_operation_and_parameter_is_described(document: dict[str, Any]) -> None:
    """Each with a tag of the list, a summary without markup, and a description."""
    tags = {each["name"] for each in document["tags"] if each["description"]}
    used = set()
    for path, operations in document["paths"].items():
        for method, each in operations.items():
            assert each["description"] and "`" not in each["summary"], (method, path)
            (tag,) = each["tags"]
            used.add(tag)
            assert all(parameter.get("description") for parameter in each["parameters"]), (method, path)
            assert all(answer["description"] for answer in each["responses"].values()), (method, path)
    assert used == tags
    assert document["servers"] and document["info"]["description"]
