"""The API with the emulator as its CI, in a bucket of each test's own."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey
from harness.settings import make_settings

REQUEST: dict[str, Any] = {
    "input": {"object": "in/talk.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/${jobid}.${ext}"},
    "labels": {"order": 42},
}


@pytest.fixture
def ci(emulator: Emulator) -> Emulated:
    return Emulated(emulator.url)


@pytest.fixture
def settings(valkey: Valkey, ci: Emulated) -> Settings:
    return make_settings(
        valkey.url, ci_endpoint=ci.url, cos_bucket=ci.bucket, public_url="http://127.0.0.1:9"
    )


@pytest.fixture
def post(client: FlaskClient, key: dict[str, str]) -> Any:
    def send(body: dict[str, Any], **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post("/v1/jobs", json=body, headers=key | named)

    return send
