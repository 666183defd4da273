"""Asks a service that runs here for one answer of each operation: the examples of the OpenAPI document.

``python -m docs.examples`` writes ``app/api/document/examples.json``. A test compares them with what is answered then.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.servers import Emulator, Service, Valkey, eventually, free_port
from harness.settings import make_settings

FILE = Path(__file__).parents[1] / "app/api/document/examples.json"

SUBMISSION = {
    "input": {"object": "input/talk.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/vocals.mp3"},
    "user_data": "order-42",
    "labels": {"show": "news"},
}
Answered = tuple[str, str, Any, int, Any]
"""Method, path of the document, body that was sent, status, and what was answered."""


def answers(service: Service) -> Iterator[Answered]:
    """One of each operation that answers JSON, in an order in which each has something to say."""

    def call(method: str, template: str, body: Any = None, query: str = "", **names: str) -> Answered:
        options = {} if body is None else {"json": body}
        answer = service.call(method, template.format(**names) + query, **options)
        return method.lower(), template, body, answer.status_code, answer.json()

    submitted = call("POST", "/v1/jobs", SUBMISSION)
    yield submitted
    job = {"job_id": submitted[4]["job_id"]}
    yield call("GET", "/v1/jobs/{job_id}", query="?wait=60", **job)
    yield call("GET", "/v1/jobs")
    yield call("GET", "/v1/submissions/{submission_id}", submission_id=submitted[4]["submission"]["id"])
    yield call("POST", "/v1/jobs/{job_id}/refresh", **job)
    yield call("POST", "/v1/jobs/{job_id}/replay", **job)
    eventually(
        lambda: all(
            run["state"] == "done"
            for entry in service.call("GET", f"/v1/jobs/{job['job_id']}/events").json()["events"]
            for run in entry["runs"]
        ),
        "the handlers to be done",
    )
    yield call("GET", "/v1/jobs/{job_id}/events", **job)
    for name in ("refresh", "replay", "cancel"):
        yield call("POST", f"/v1/jobs/{name}", {"all": True, "dry_run": True})
    yield call("POST", "/v1/failures/retry", {"all": True, "dry_run": True})
    for path in ("/v1/failures", "/v1/refusals", "/v1/lanes", "/v1/endpoints", "/v1/stats"):
        yield call("GET", path)
    yield call("POST", "/v1/lanes/{name}/pause", name="default")
    yield call("POST", "/v1/lanes/{name}/resume", name="default")
    yield call("GET", "/healthz")
    yield call("GET", "/readyz")
    yield call("GET", "/v1/jobs/{job_id}", job_id="unknown")


def written(found: Iterator[Answered]) -> dict[str, Any]:
    """By method and path: the body that was sent, and the answers by status."""
    said: dict[str, Any] = {}
    for method, path, body, status, answer in found:
        each = said.setdefault(f"{method} {path}", {"answers": {}})
        each["answers"][str(status)] = answer
        if body is not None:
            each["example"] = body
    plain: dict[str, Any] = _without_machine(said)
    return plain


def _without_machine(node: Any) -> Any:
    """Names of processes hold that of the machine, and links end: neither belongs in a document."""
    if isinstance(node, list):
        return [_without_machine(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {"worker": "host-1:42", "url": None}
    return {name: plain[name] if name in plain else _without_machine(each) for name, each in node.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / each for each in ("valkey", "emulator", "service")]
        for folder in folders:
            folder.mkdir()
        port = free_port()
        with Valkey(folders[0]) as valkey, Emulator(folders[1], free_port()) as emulator:
            url = f"http://127.0.0.1:{port}"
            settings = make_settings(valkey.url, ci_endpoint=emulator.url, public_url=url)
            with Service(settings, port, folders[2]) as service:
                FILE.write_text(json.dumps(written(answers(service)), indent=1) + "\n")


if __name__ == "__main__":
    main()
