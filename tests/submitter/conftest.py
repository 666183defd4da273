"""A submitter whose CI is the emulator, in a bucket of each test's own."""

from __future__ import annotations

import pytest

from app.services import Services
from app.settings import Settings
from app.submitter import AudioConfig, Input, Output, SubmitRequest, Submitter, VoiceSeparate
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey
from harness.settings import make_settings

REQUEST = SubmitRequest(
    input=Input(object="input/talk.mp3"),
    voice_separate=VoiceSeparate(audio_mode="IsAudio", audio_config=AudioConfig(codec="mp3")),
    output=Output(au_object="out/${jobid}.${ext}"),
    user_data="order-1",
    labels={"order": "1"},
)


@pytest.fixture
def ci(emulator: Emulator) -> Emulated:
    return Emulated(emulator.url)


@pytest.fixture
def settings(valkey: Valkey, ci: Emulated) -> Settings:
    return make_settings(
        valkey.url, ci_endpoint=ci.url, cos_bucket=ci.bucket, public_url="http://127.0.0.1:9"
    )


@pytest.fixture
def submitter(services: Services) -> Submitter:
    return Submitter(services, patience=30)
