"""Requests to start from: each test changes one thing."""

from typing import Any

from app.ci.outgoing.request import Defaults, SubmitRequest, load_request
from app.ci.outgoing.rules.broken import BrokenRule
from app.ci.outgoing.rules.rules import check

DEFAULTS = Defaults(bucket="demo-1250000000", region="ap-chongqing")

GOOD: dict[str, Any] = {
    "input": {"object": "in/talk.mp4"},
    "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
    "output": {"object": "out/bg.${ext}", "au_object": "out/voice.${ext}"},
}


def request(**changes: Any) -> SubmitRequest:
    """GOOD with fields replaced; one that is set to None is left out."""
    return load_request({k: v for k, v in (GOOD | changes).items() if v is not None})


def voice(mode: str | None = "IsAudio", **config: Any) -> SubmitRequest:
    """A request for one mode and audio config, with just the outputs that the mode makes."""
    keys = {
        "IsAudio": ["au_object"],
        "IsBackground": ["object"],
        "MusicMode": ["object", "au_object", "bass_object", "drum_object"],
    }.get(mode or "", ["object", "au_object"])
    separate = {"audio_mode": mode, "audio_config": config}
    return request(voice_separate=separate, output={key: f"out/{key}" for key in keys})


def broken(made: SubmitRequest, defaults: Defaults = DEFAULTS) -> list[BrokenRule]:
    return check(made, defaults)


def violations(made: SubmitRequest, defaults: Defaults = DEFAULTS) -> set[tuple[str, str]]:
    """The broken rules as (field, word)."""
    return {(b.field, b.word) for b in check(made, defaults)}
