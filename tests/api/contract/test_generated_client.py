"""A client that a common generator makes of the OpenAPI document submits, waits and replays."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.servers import Service

_PACKAGE = "ci_callback_receiver_client"
_REQUEST = {
    "input": {"object": "input/talk.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/vocals.mp3"},
    "user_data": "generated",
    "labels": {"show": "news"},
}


@pytest.fixture
def generated(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the client that was generated from what this service serves."""
    document = requests.get(f"{service.url}/openapi.json", timeout=30).json()
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    # It formats what it made with the ruff on PATH, which is not needed to run it.
    (tmp_path / "generator.yaml").write_text("post_hooks: []\n")
    generator = Path(sys.executable).with_name("openapi-python-client")
    arguments = (
        "generate",
        "--path",
        "openapi.json",
        "--output-path",
        "client",
        "--config",
        "generator.yaml",
    )
    made = subprocess.run([generator, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Failure to process schema" not in made.stdout
    monkeypatch.syspath_prepend(str(tmp_path / "client"))
    return lambda name: importlib.import_module(f"{_PACKAGE}.{name}")


def test_a_generated_client_submits_waits_and_replays(service: Service, generated: Any) -> None:
    client = generated("client").AuthenticatedClient(base_url=service.url, token=service.key, timeout=90)
    models = generated("models")

    body = models.SubmitRequest.from_dict(_REQUEST)
    submitted = generated("api.jobs.submissions_submit").sync(client=client, body=body)
    assert isinstance(submitted, models.SubmittedJob)

    ended = generated("api.jobs.jobs_show").sync(submitted.job_id, client=client, wait=60)
    assert isinstance(ended, models.Job)
    assert (ended.state, ended.user_data) == ("Success", "generated")
    assert ended.labels.to_dict() == {"show": "news"}

    page = generated("api.jobs.jobs_page").sync(client=client, user_data="generated")
    assert [job.job_id for job in page.jobs] == [submitted.job_id]

    replayed = generated("api.jobs.jobs_replay").sync(submitted.job_id, client=client)
    assert isinstance(replayed, models.ReplayView)
    history = generated("api.jobs.jobs_history").sync(submitted.job_id, client=client)
    assert history.events[-1].event_id == replayed.event_id

    unknown = generated("api.jobs.jobs_show").sync("none", client=client)
    assert isinstance(unknown, models.ProblemDocument)
    assert unknown.reason == "not_found"
