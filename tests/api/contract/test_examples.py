"""The examples of the OpenAPI document are real answers."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient

from docs.examples import answers, running, written
from harness.servers import Emulator, Valkey
from tests.api.answers.described import faults


def test_each_example_is_what_the_service_answers_now(
    valkey: Valkey, emulator: Emulator, tmp_path: Path
) -> None:
    """The examples have the same operations, statuses and members as real answers, and fit their schemas."""
    with running(valkey, emulator, tmp_path) as service:
        document = service.call("GET", "/openapi.json").json()
        found = written(answers(service))
    for name, now in found.items():
        method, path = name.split()
        described = document["paths"][path][method]
        if "example" in now:
            content = described["requestBody"]["content"]["application/json"]
            assert content["example"] == now["example"], name
        for status, answer in now["answers"].items():
            (content,) = described["responses"][status]["content"].values()
            # A problem's example stands for every reason of its status, without what is known of one request.
            same = set(content["example"]) <= set(answer) if int(status) >= 400 else None
            assert same or set(content["example"]) == set(answer), (name, status)
            assert faults(content["example"], content["schema"], document) == [], (name, status)


def test_each_document_has_an_example(client: FlaskClient) -> None:
    """Each request and each answer, but for CI's callback, and for /readyz while Redis is away."""
    without = []
    for path, methods in client.get("/openapi.json").get_json()["paths"].items():
        for method, described in methods.items():
            contents = [answer.get("content", {}) for answer in described["responses"].values()]
            contents += [described.get("requestBody", {}).get("content", {})]
            without += [
                f"{method} {path}"
                for each in contents
                if "example" not in each.get("application/json", {"example": 0})
            ]
    assert sorted(without) == ["get /readyz", "post /callbacks/{token}"]
