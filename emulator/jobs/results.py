"""What a job produces: its output objects, and the MediaInfo and MediaResult that describe them."""

from __future__ import annotations

import array
import io
import math
import re
import wave
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from emulator.ci.rules import OUTPUT_KEYS, codec_of
from emulator.http.tree import Node, Tree, child, text

if TYPE_CHECKING:
    from emulator.ci.templates import Templates
    from emulator.cos.objects import Objects
    from emulator.jobs.jobs import Job

RATE = 8000
SECONDS = 0.25

# Which keys of Output a mode writes, in the order in which the published samples list them.
_MODE_KEYS = {
    "IsAudio": ("AuObject",),
    "IsBackground": ("Object",),
    "AudioAndBackground": ("AuObject", "Object"),
    "MusicMode": OUTPUT_KEYS,
}
_PITCH = {"AuObject": 440, "Object": 220, "BassObject": 110, "DrumObject": 880}
_FORMAT_NAME = {
    "mp3": ("MP2/3 (MPEG audio layer 2/3)", "MP3 (MPEG audio layer 3)"),
    "aac": ("raw ADTS AAC (Advanced Audio Coding)", "AAC (Advanced Audio Coding)"),
    "flac": ("raw FLAC", "FLAC (Free Lossless Audio Codec)"),
    "amr": ("3GPP AMR", "AMR-NB (Adaptive Multi-Rate NarrowBand)"),
    "wav": ("WAV / WAVE (Waveform Audio)", "PCM signed 16-bit little-endian"),
}


def produce(job: Job, objects: Objects, templates: Templates) -> Tree:
    """Write the job's output objects; their MediaInfo and MediaResult, empty if no output was asked for."""
    separation = _separation(job, templates)
    output = child(job.operation, "Output")
    codec = codec_of(child(separation, "AudioConfig"))
    keys = [
        (name, _fill(text(output, name), codec, job.id))
        for name in _MODE_KEYS.get(text(separation, "AudioMode"), OUTPUT_KEYS)
        if text(output, name)
    ]
    if not keys:
        return {}
    bucket = text(output, "Bucket") or job.bucket
    files = [(key, objects.put(bucket, key, sound(name, job.id))) for name, key in keys]
    return {
        "MediaInfo": _media_info(codec, [len(stored.body) for _, stored in files]),
        "MediaResult": {
            "OutputFile": {
                "Bucket": bucket,
                "Md5Info": _one_or_list([{"Md5": stored.etag, "ObjectName": key} for key, stored in files]),
                "ObjectName": _one_or_list([key for key, _ in files]),
                "ObjectPrefix": "",
                "Region": text(output, "Region") or job.region,
            }
        },
    }


def _one_or_list(nodes: Sequence[Node]) -> Node:
    """CI's JSON: one item stands alone, several are a list."""
    return nodes[0] if len(nodes) == 1 else [*nodes]


def _separation(job: Job, templates: Templates) -> Tree:
    """The settings of a VoiceSeparate job. They are empty for a template that was not made here: then every
    output that was asked for is written."""
    wanted = text(job.operation, "TemplateId")
    if not wanted:
        return child(job.operation, "VoiceSeparate")
    template = templates.get(job.bucket, wanted)
    return template.body if template else {}


def _fill(key: str, codec: str, job_id: str) -> str:
    """`${ext}` and `${jobid}` replaced; the documentation varies their case."""
    values = {"ext": codec, "jobid": job_id}
    return re.sub(r"\$\{(ext|jobid)\}", lambda match: values[match[1].lower()], key, flags=re.IGNORECASE)


def sound(name: str, job_id: str) -> bytes:
    """A short tone as WAV, whatever the key's extension; the job's id inside makes each file unique."""
    note = f"{name} of {job_id}\0".encode()
    note += b"\0" * (len(note) % 2)
    extra = (
        b"LIST"
        + (len(note) + 12).to_bytes(4, "little")
        + b"INFOICMT"
        + len(note).to_bytes(4, "little")
        + note
    )
    tone = _tone(_PITCH.get(name, 330)) + extra
    return tone[:4] + (len(tone) - 8).to_bytes(4, "little") + tone[8:]


@cache
def _tone(pitch: int) -> bytes:
    samples = array.array(
        "h", (int(12000 * math.sin(2 * math.pi * pitch * n / RATE)) for n in range(int(RATE * SECONDS)))
    )
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _media_info(codec: str, sizes: list[int]) -> Tree:
    """One Format, for the first file, and one Audio per file: the published shape."""
    container, long_name = _FORMAT_NAME.get(codec, (codec, codec))
    audio: Tree = {
        "Bitrate": "128.000000",
        "Channel": "1",
        "ChannelLayout": "mono",
        "CodecLongName": long_name,
        "CodecName": codec,
        "CodecTag": "0x0000",
        "CodecTagString": "[0][0][0][0]",
        "CodecTimeBase": f"1/{RATE}",
        "Duration": f"{SECONDS:.6f}",
        "Index": "0",
        "SampleFmt": "s16",
        "SampleRate": str(RATE),
        "StartTime": "0.000000",
        "Timebase": f"1/{RATE}",
    }
    return {
        "Format": {
            "Bitrate": "128.000000",
            "Duration": f"{SECONDS:.6f}",
            "FormatLongName": container,
            "FormatName": codec,
            "NumProgram": "0",
            "NumStream": "1",
            "Size": str(sizes[0]),
            "StartTime": "0.000000",
        },
        "Stream": {"Audio": _one_or_list([audio] * len(sizes)), "Subtitle": "", "Video": ""},
    }
