"""The client's structs against the service's OpenAPI document: a field that the service has is in the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from ci_receiver_client import calls, documents
from ci_receiver_client.calls import Filters
from flask.testing import FlaskClient

from tests.client.conftest import REQUEST

PAIRS = {
    "Job": documents.Job,
    "SubmissionView": documents.Submission,
    "ReplayView": documents.Replay,
    "Page": calls.Page,
    "RuleWarning": documents.Warned,
}


@pytest.fixture
def schemas(client: FlaskClient) -> Any:
    return client.get("/openapi.json").json["components"]["schemas"]  # type: ignore[index]


def members(schemas: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The members of a schema with their schemas; a reference is followed, ``null`` is left out."""
    for member, schema in schemas[name]["properties"].items():
        found = next((each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"), schema)
        yield member, found.get("items", found)


def missing(schemas: Any, name: str, struct: Any) -> Iterator[str]:
    """The members, and members of members, that the struct has not."""
    fields = {each.name: each for each in msgspec.structs.fields(struct)}
    for member, schema in members(schemas, name):
        if member not in fields:
            yield f"{name}.{member}"
        elif "$ref" in schema:
            inner = _struct_in(fields[member].type)
            yield from missing(schemas, schema["$ref"].rpartition("/")[2], inner)


def _struct_in(kind: Any) -> Any:
    """The struct in an annotation such as ``Input | None`` or ``tuple[Output, ...]``."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next(
        found for each in kind.__args__ if each not in {type(None), ...} and (found := _struct_in(each))
    )


@pytest.mark.parametrize("name", PAIRS)
def test_each_member_of_the_service_is_a_field(name: str, schemas: Any) -> None:
    """After a new field of the API: add it to client/ci_receiver_client/documents.py."""
    assert not list(missing(schemas, name, PAIRS[name]))


def test_each_filter_of_the_list_is_one_of_the_client(client: FlaskClient) -> None:
    """And no other; labels apart."""
    described = client.get("/openapi.json").json["paths"]["/v1/jobs"]["get"]["parameters"]  # type: ignore[index]
    known = {each["name"] for each in described if each["in"] == "query"} - {"limit", "cursor", "label"}
    assert known == set(Filters.__dataclass_fields__) - {"labels"}


def test_each_path_of_the_client_is_served(client: FlaskClient) -> None:
    """With its method and the query that it sends."""
    paths = client.get("/openapi.json").json["paths"]  # type: ignore[index]
    every = (
        calls.submit(REQUEST, None),
        calls.submission("{submission_id}"),
        calls.get("{job_id}", 1),
        calls.refresh("{job_id}"),
        calls.page(Filters(), 5, "c"),
        calls.replay("{job_id}", "h", None),
    )
    for call in every:
        operation = paths[call.path.replace("%7B", "{").replace("%7D", "}")][call.method.lower()]
        assert call.query.keys() <= {each["name"] for each in operation.get("parameters", ())}


def test_members_that_are_not_known_yet_are_ignored() -> None:
    """A newer service does not break an older client."""
    job = msgspec.convert({"job_id": "j1", "new": 1, "input": {"object": "x", "new": 2}}, documents.Job)
    assert job.input is not None and job.input.object == "x"
