"""Bodies as our emulator of CI sends them: callbacks of every kind, in all dialects."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from harness.servers import Emulator, free_port

_TAGS = (
    "VoiceSeparate", "VoiceSeparate", "VoiceSeparate", "Transcode", "Animation", "Snapshot", "Concat", "Segment",
    "SmartCover", "MediaInfo", "NoiseReduction", "Tts", "SpeechRecognition", "PicProcess", "VideoMontage",
    "Translation", "WorkflowFinish", "ReviewVideo", "ReviewImage",
)  # fmt: skip
_STATES = ("Success", "Success", "Success", "Submitted", "Running", "Failed", "Cancel", "Pause")
_REGIONS = ("ap-chongqing", "ap-beijing", "ap-shanghai", "ap-guangzhou", "ap-singapore", "eu-frankfurt")


def emulated_bodies(count: int, chance: random.Random) -> Iterator[bytes]:
    """``count`` bodies, each about another job."""
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        emulator = Emulator(Path(folder), free_port())
        emulator.start()
        try:
            for _ in range(count):
                yield _body(session, emulator.url, _wanted(chance))
        finally:
            emulator.stop()


def _body(session: requests.Session, url: str, wanted: dict[str, Any]) -> bytes:
    # No server listens there; the answer contains the body anyway.
    answer = session.post(
        f"{url}/_emulator/callbacks", json=wanted | {"url": "http://127.0.0.1:9/"}, timeout=30
    )
    answer.raise_for_status()
    body: str = answer.json()["sent"][0]["body"]
    return body.encode()


def _wanted(chance: random.Random) -> dict[str, Any]:
    name = f"{chance.randrange(16**10):x}"
    folder = chance.choice(["input", "in", "uploads/2026", "recordings"])
    kind = chance.choice(["mp3", "mp4", "wav", "m4a", "flac"])
    return {
        "tag": chance.choice(_TAGS),
        "format": chance.choice(["JSON", "XML"]),
        "state": chance.choice(_STATES),
        "dialect": chance.choice(["array", "array", "object", "wrapped"]),
        "bucket": chance.choice(["demo", "media", "audio-prod"])
        + f"-{chance.choice([1250000000, 1300123456])}",
        "region": chance.choice(_REGIONS),
        "input_object": f"{folder}/{name}.{kind}",
        "output_object": f"out/{name}/background.{kind}",
        "output_au_object": f"out/{name}/vocals.{kind}",
        "codec": chance.choice(["mp3", "aac", "wav", "flac"]),
        "user_data": chance.choice(["", f"order-{name}"]),
    }
