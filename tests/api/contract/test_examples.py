"""The examples of the OpenAPI document are real answers."""

from __future__ import annotations

from docs.examples import answers, written
from harness.servers import Service
from tests.api.answers.described import faults


def test_each_example_is_what_the_service_answers_now(service: Service) -> None:
    """The same operations and statuses, each with the same members; and each as its schema has it."""
    document = service.call("GET", "/openapi.json").json()
    for name, now in written(answers(service)).items():
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
