"""What CI refuses in a request, by its published tables. What the tables leave open is accepted.

Sources: "Submit a Task" of VoiceSeparate (2025-09), "VoiceSeparate template" and "Structures" (NotifyConfig,
CallBackMqConfig). Rules that are only likely are left out: an emulator with invented rules would mislead.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from emulator.account import owns
from emulator.http.tree import Node, Tree, child, children, text

MAX_OPERATIONS = 6
MAX_USER_DATA = 1024
OUTPUT_KEYS = ("AuObject", "Object", "BassObject", "DrumObject")
# Tags whose pages require an Operation, because it names their output. The page of MediaInfo says that it needs none;
# a tag without a page is not checked.
NEEDS_OPERATION = frozenset(
    (
        *(
            "Animation",
            "Concat",
            "DigitalWatermark",
            "ExtractDigitalWatermark",
            "NoiseReduction",
            "PicProcess",
        ),
        *("SDRtoHDR", "Segment", "SmartCover", "Snapshot", "SpeechRecognition", "StreamExtract"),
        *("SuperResolution", "Transcode", "Translation", "Tts", "VideoMontage", "VideoProcess"),
        *("VoiceSeparate", "WordsGeneralize"),
    )
)
AUDIO_MODES = ("IsAudio", "IsBackground", "AudioAndBackground", "MusicMode")
MUSIC_CODECS = frozenset({"mp3", "wav", "aac"})
MQ_REGIONS = frozenset({"sh", "bj", "gz", "cd", "hk"})

_RATES = frozenset({"8000", "11025", "22050", "32000", "44100", "48000", "96000"})


@dataclass(frozen=True)
class Codec:
    """What one codec can do, outside MusicMode."""

    rates: frozenset[str]
    channels: frozenset[str]


CODECS = {
    "aac": Codec(_RATES - {"8000"}, frozenset({"1", "2", "4", "5", "6", "8"})),
    "flac": Codec(_RATES - {"8000"}, frozenset({"1", "2", "4", "5", "6", "8"})),
    "mp3": Codec(_RATES - {"8000", "96000"}, frozenset({"1", "2"})),
    "amr": Codec(frozenset({"8000"}), frozenset({"1"})),
}


def submit_problems(request: Tree, *, public_callbacks: bool) -> list[str]:
    """Every rule that a `POST /jobs` request breaks, as sentences."""
    return [
        *_input_problems(request),
        *_operations_problems(request),
        *_callback_problems(request, public_callbacks=public_callbacks),
    ]


def _input_problems(request: Tree) -> Iterator[str]:
    """The pages of other tags differ: a Tts job has its text in its operation, and no Input at all."""
    source = child(request, "Input")
    tags = {tag_of(request, operation) for operation in operations_of(request)}
    if "VoiceSeparate" in tags and not text(source, "Object") and not text(source, "Url"):
        yield "Input.Object is required"


def _operations_problems(request: Tree) -> Iterator[str]:
    operations = operations_of(request)
    if len(operations) > MAX_OPERATIONS:
        yield f"Operation may appear at most {MAX_OPERATIONS} times"
    if isinstance(request.get("Tag"), list):
        yield "Tag is repeated"
    for operation in operations:
        tag = tag_of(request, operation)
        if not tag:
            yield "Tag is required"
        if not isinstance(operation, dict) or not operation:
            if tag in NEEDS_OPERATION:
                yield f"Operation is required for {tag}"
            continue
        yield from _common_problems(operation)
        if tag == "VoiceSeparate":
            yield from voice_separate_problems(operation)


def operations_of(request: Tree) -> list[Node]:
    """The operations, one job each. A request without an operation counts as one empty operation."""
    return children(request, "Operation") or [{}]


def tag_of(request: Tree, operation: Node) -> str:
    """A job's tag: that of its operation, in a request for several, else that of the request."""
    return text(operation, "Tag") or text(request, "Tag")


def _common_problems(operation: Tree) -> Iterator[str]:
    user_data = text(operation, "UserData")
    if len(user_data) > MAX_USER_DATA or not (user_data.isascii() and user_data.isprintable()):
        yield f"Operation.UserData must be printable ASCII, at most {MAX_USER_DATA}"
    if text(operation, "JobLevel") not in {"", "0", "1", "2"}:
        yield "Operation.JobLevel must be 0, 1 or 2"


def voice_separate_problems(operation: Tree) -> Iterator[str]:
    """The rules of one VoiceSeparate operation. With a TemplateId, VoiceSeparate is not read."""
    if not text(operation, "TemplateId"):
        if not isinstance(operation.get("VoiceSeparate"), dict):
            yield "Operation.TemplateId or Operation.VoiceSeparate is required"
        else:
            yield from separation_problems(child(operation, "VoiceSeparate"), "Operation.VoiceSeparate")
    output = child(operation, "Output")
    if not output:
        yield "Operation.Output is required"
        return
    for name in ("Region", "Bucket"):
        if not text(output, name):
            yield f"Operation.Output.{name} is required"
    if not any(text(output, name) for name in OUTPUT_KEYS):
        yield f"Operation.Output needs one of {', '.join(OUTPUT_KEYS)}"


def separation_problems(separation: Tree, where: str) -> Iterator[str]:
    """The rules of AudioMode and AudioConfig, of a job or of a template."""
    mode = text(separation, "AudioMode")
    if mode not in AUDIO_MODES:
        yield f"{where}.AudioMode must be one of {', '.join(AUDIO_MODES)}"
    if "AudioConfig" not in separation:
        yield f"{where}.AudioConfig is required"
        return
    config = child(separation, "AudioConfig")
    problems = _music_problems(config) if mode == "MusicMode" else _audio_problems(config)
    for problem in problems:
        yield f"{where}.AudioConfig.{problem}"


def _music_problems(config: Tree) -> Iterator[str]:
    """MusicMode ignores everything but the codec."""
    if codec_of(config) not in MUSIC_CODECS:
        yield f"Codec must be one of {', '.join(sorted(MUSIC_CODECS))} in MusicMode"


def _audio_problems(config: Tree) -> Iterator[str]:
    codec = CODECS.get(codec_of(config))
    if codec is None:
        yield f"Codec must be one of {', '.join(CODECS)}"
        codec = Codec(_RATES, frozenset({"1", "2", "4", "5", "6", "8"}))
    if text(config, "Samplerate") not in {"", *codec.rates}:
        yield f"Samplerate must be one of {', '.join(sorted(codec.rates, key=int))} with this codec"
    if text(config, "Channels") not in {"", *codec.channels}:
        yield f"Channels must be one of {', '.join(sorted(codec.channels))} with this codec"
    bitrate = text(config, "Bitrate")
    if bitrate and not (bitrate.isascii() and bitrate.isdigit() and 8 <= int(bitrate) <= 1000):
        yield "Bitrate must be 8 to 1000"


def codec_of(config: Tree) -> str:
    return (text(config, "Codec") or "aac").lower()


def _callback_problems(request: Tree, *, public_callbacks: bool) -> Iterator[str]:
    url = text(request, "CallBack")
    if url and url != "no":
        yield from url_problems(url, "CallBack", public=public_callbacks)
    if text(request, "CallBackFormat").upper() not in {"", "JSON", "XML"}:
        yield "CallBackFormat must be JSON or XML"
    kind = text(request, "CallBackType") or "Url"
    if kind not in {"Url", "TDMQ", "Kafka"}:
        yield "CallBackType must be Url or TDMQ"
    if kind == "TDMQ":
        yield from mq_problems(child(request, "CallBackMqConfig"), "CallBackMqConfig.")


def mq_problems(config: Tree, where: str) -> Iterator[str]:
    if text(config, "MqRegion") not in MQ_REGIONS:
        yield f"{where}MqRegion must be one of {', '.join(sorted(MQ_REGIONS))}"
    if text(config, "MqMode") not in {"", "Topic", "Queue"}:
        yield f"{where}MqMode must be Topic or Queue"
    if not text(config, "MqName"):
        yield f"{where}MqName is required"


def url_problems(url: str, where: str, *, public: bool) -> Iterator[str]:
    """`public`: refuse a private address, as CI's documentation says that it does."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"}:
        yield f"{where} must be an http or https URL"
    elif public and _private(host):
        yield f"{where} must not be a private address"


def _private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def foreign_bucket(operation: Node) -> str | None:
    """The bucket that a job would write to, if it is another account's."""
    bucket = text(operation, "Output", "Bucket")
    return bucket if bucket and not owns(bucket) else None


def queue_problems(request: Tree, *, public_callbacks: bool) -> Iterator[str]:
    """The rules of `PUT /queue/<id>`."""
    if len(text(request, "Name").encode()) > 128:
        yield "Name must be at most 128 bytes"
    if text(request, "State") not in {"", "Active", "Paused"}:
        yield "State must be Active or Paused"
    notify = child(request, "NotifyConfig")
    if text(notify, "State") not in {"", "On", "Off"}:
        yield "NotifyConfig.State must be On or Off"
    if text(notify, "ResultFormat") not in {"", "XML", "JSON"}:
        yield "NotifyConfig.ResultFormat must be XML or JSON"
    if text(notify, "State") == "On":
        yield from _notify_problems(notify, public=public_callbacks)


def _notify_problems(notify: Tree, *, public: bool) -> Iterator[str]:
    events = {part.strip() for part in text(notify, "Event").split(",")}
    if not events <= {"TaskFinish", "WorkflowFinish"}:
        yield "NotifyConfig.Event must be TaskFinish or WorkflowFinish, or both with a comma"
    kind = text(notify, "Type")
    if kind not in {"Url", "TDMQ", "Kafka"}:
        yield "NotifyConfig.Type must be Url or TDMQ"
    if kind == "Url":
        yield from url_problems(text(notify, "Url"), "NotifyConfig.Url", public=public)
    if kind == "TDMQ":
        yield from mq_problems(notify, "NotifyConfig.")
