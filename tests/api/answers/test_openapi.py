"""/openapi.json is what is served: every address, every answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel

from app.settings import Settings
from app.store import Store
from app.store.reading.job import Job
from app.store.reading.listing import Page
from app.store.refusals.refusal import Refusal
from app.store.submissions.submissions import Submission
from app.web.problems import PROBLEMS
from tests.api.answers.described import faults
from tests.api.stored import put
from tests.ci import samples
from tests.receiver.callbacks import a_token, body


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, all_ in document["paths"].items() for method, each in all_.items()]


def test_the_document_is_whole(document: dict[str, Any]) -> None:
    """OpenAPI 3.1: every reference leads somewhere, ids are unique, path parameters are declared."""
    assert document["openapi"].startswith("3.1")
    assert {"title", "version"} <= set(document["info"])
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert isinstance(target, dict)
    every = [each["operationId"] for _, _, each in operations(document)]
    assert len(every) == len(set(every))
    for path, method, each in operations(document):
        assert method in {"get", "post", "put", "delete", "patch"}
        assert each["summary"]
        named = {p["name"] for p in each["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        for parameter in each["parameters"]:
            assert parameter["in"] in {"path", "query", "header"}
            assert parameter["required"] is (parameter["in"] == "path")
            assert "schema" in parameter
        for status, answer in each["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert answer["description"]
        assert "$defs" not in json.dumps(each)


def test_every_address_of_the_api_is_described(app: Flask, document: dict[str, Any]) -> None:
    """A view that is missing here is missing in the documentation."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/v1", "/callbacks", "/healthz", "/readyz", "/metrics")):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                assert method.lower() in document["paths"].get(path, {}), (method, path)


def test_every_problem_that_is_promised_is_in_the_table(document: dict[str, Any]) -> None:
    for _, _, each in operations(document):
        for status, answer in each["responses"].items():
            if "application/problem+json" in answer.get("content", {}):
                for reason in answer["description"].split(", "):
                    assert PROBLEMS[reason][0] == int(status)


def schema_of(document: dict[str, Any], path: str, status: int) -> dict[str, Any]:
    answer = document["paths"][path]["get"]["responses"][str(status)]
    schema: dict[str, Any] = next(iter(answer["content"].values()))["schema"]
    return schema


def test_responses_match_the_document(
    client: FlaskClient, store: Store, key: dict[str, str], document: dict[str, Any]
) -> None:
    """Real answers have each field of the document, no other field, and the right types."""
    put(store, "jfull", Workflow={"RunId": "i1", "WorkflowId": "w1", "Name": "n"}, Progress="50")
    put(store, "jbare", Input=None, Operation=None, State=None, EndTime=None, Tag=None, QueueId=None)
    store.submissions.create(
        Submission(
            "s1", "lost", "2024-03-05T13:59:58Z", "2024-03-05T14:59:58Z", "own", "b", "r", labels={"a": "b"}
        )
    )
    store.refusals.note(Refusal("malformed_xml", "x", "t", {}, ("jfull",), body=b"<x", whole=True, id="r1"))
    for path, template, status in (
        ("/v1/jobs/jfull", "/v1/jobs/{job_id}", 200),
        ("/v1/jobs/jbare", "/v1/jobs/{job_id}", 200),
        ("/v1/jobs", "/v1/jobs", 200),
        ("/v1/jobs/jfull/events", "/v1/jobs/{job_id}/events", 200),
        ("/v1/submissions/s1", "/v1/submissions/{submission_id}", 200),
        ("/v1/jobs/none", "/v1/jobs/{job_id}", 404),
        ("/v1/jobs?limit=0", "/v1/jobs", 422),
        ("/v1/refusals", "/v1/refusals", 200),
        ("/v1/refusals/r1", "/v1/refusals/{refusal_id}", 200),
        ("/v1/refusals/none", "/v1/refusals/{refusal_id}", 404),
        ("/v1/refusals?limit=0", "/v1/refusals", 422),
        ("/healthz", "/healthz", 200),
        ("/readyz", "/readyz", 200),
    ):
        answer = client.get(path, headers=key)
        assert answer.status_code == status
        assert faults(answer.get_json(), schema_of(document, template, status), document) == [], path


def test_the_receiver_is_described(client: FlaskClient, settings: Settings, document: dict[str, Any]) -> None:
    """Its answers, its refusals, and that it takes no API key but a token in its path."""
    described = document["paths"]["/callbacks/{token}"]["post"]
    assert described["security"] == []
    assert set(described["requestBody"]["content"]) == {"application/xml", "application/json"}
    content = body()
    for token, status in ((a_token(settings), 200), ("forged", 403)):
        answer = client.post(f"/callbacks/{token}", data=content)
        assert answer.status_code == status
        schema = next(iter(described["responses"][str(status)]["content"].values()))["schema"]
        assert faults(answer.get_json(), schema, document) == []


@pytest.mark.parametrize(("path", "model"), [("/v1/jobs/j1", Job), ("/v1/jobs", Page)])
def test_an_answer_reads_back_as_its_model(
    client: FlaskClient, store: Store, key: dict[str, str], path: str, model: type[BaseModel]
) -> None:
    """A client that generates its types from the document gets what it expects."""
    put(store, "j1", **{"Input": samples.voice_separate()["Input"]})
    answer = client.get(path, headers=key).get_json()
    assert json.loads(model.model_validate(answer, strict=False).model_dump_json()) == answer


def test_the_body_of_a_submission_is_described(document: dict[str, Any]) -> None:
    """The example of the documentation fits the schema."""
    example = {
        "tag": "VoiceSeparate",
        "input": {"bucket": "test-123456789", "region": "ap-chongqing", "object": "input/demo.mp4"},
        "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
        "output": {"region": "ap-chongqing", "bucket": "test-123456789", "object": "a", "au_object": "b"},
        "user_data": "order-42",
        "callback_format": "JSON",
    }
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert faults(example, body, document) == []
