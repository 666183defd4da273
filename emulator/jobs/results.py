"""What a job of each tag produces: its output objects, and the nodes of its Operation that report them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.ci.rules import OUTPUT_KEYS, codec_of
from emulator.http.tree import Tree, child, children, text
from emulator.jobs.findings import FINDINGS
from emulator.jobs.written import WILDCARD, Writer
from emulator.media.files import File, kind_of

if TYPE_CHECKING:
    from emulator.ci.templates import Templates
    from emulator.cos.objects import Objects
    from emulator.jobs.jobs import Job

# Which keys of Output a mode writes, in the order in which the published samples list them.
_MODE_KEYS = {
    "IsAudio": ("AuObject",),
    "IsBackground": ("Object",),
    "AudioAndBackground": ("AuObject", "Object"),
    "MusicMode": OUTPUT_KEYS,
}
_VOICES = {"AuObject": "vocals", "Object": "background", "BassObject": "bass", "DrumObject": "drums"}
_AUDIO_TAGS = frozenset({"Tts", "NoiseReduction"})
_PICTURES = {"Snapshot": 3, "SmartCover": 3, "PosterProduction": 1}
_PARTS, _PARTS_MAX = 3, 20


def produce(job: Job, objects: Objects, templates: Templates) -> Tree:
    """Write the job's output objects; returns the nodes that report them and its result. Empty if nothing was made."""
    writer = Writer(job, objects)
    if job.tag == "VoiceSeparate":
        return _separated(writer, templates)
    if job.tag in FINDINGS:
        return FINDINGS[job.tag](writer)
    make = _FILES.get(job.tag, _one_file)
    return make(writer) if text(writer.output, "Object") or job.tag == "StreamExtract" else {}


def _separated(writer: Writer, templates: Templates) -> Tree:
    separation = _separation(writer.job, templates)
    codec = codec_of(child(separation, "AudioConfig"))
    made = [
        (writer.key(name, ext=codec), writer.file(codec, name, _VOICES[name]))
        for name in _MODE_KEYS.get(text(separation, "AudioMode"), OUTPUT_KEYS)
        if text(writer.output, name)
    ]
    return writer.files(made) if made else {}


def _separation(job: Job, templates: Templates) -> Tree:
    """The settings of a VoiceSeparate job. They are empty for a template that was not made here: then every
    output that was asked for is written."""
    wanted = text(job.operation, "TemplateId")
    if not wanted:
        return child(job.operation, "VoiceSeparate")
    template = templates.get(job.bucket, wanted)
    return template.body if template else {}


def _one_file(writer: Writer) -> Tree:
    tag = writer.job.tag
    default = "gif" if tag == "Animation" else "mp3" if tag in _AUDIO_TAGS else "mp4"
    suffix = kind_of(text(writer.output, "Object"), default)
    return writer.files([(writer.key(ext=suffix), writer.file(suffix, "Object"))])


def _numbered(writer: Writer, name: str, count: int, default: str) -> list[str]:
    """Keys of several files; where the asked one has no place for a number, there is one."""
    wanted = text(writer.output, name)
    has_number = any(found[1].lower() in {"number", "time"} for found in WILDCARD.finditer(wanted))
    suffix = kind_of(wanted, default)
    numbers = [str(n) for n in range(count)] if has_number else [""]
    return [writer.key(name, ext=suffix, number=number, time=number) for number in numbers]


def _pictures(writer: Writer) -> Tree:
    made = _pictures_at(writer, "Object", _count(writer, _PICTURES[writer.job.tag]))
    return writer.files(made, _pictures_at(writer, "SpriteObject", 1))


def _pictures_at(writer: Writer, name: str, count: int) -> list[tuple[str, File]]:
    keys = _numbered(writer, name, count, "jpg") if text(writer.output, name) else []
    return [(key, writer.file(kind_of(key, "jpg"), key)) for key in keys]


def _count(writer: Writer, default: int) -> int:
    """As many as the operation asks for, within reason."""
    wanted = text(child(writer.job.operation, writer.job.tag), "Count")
    return max(1, min(int(wanted), _PARTS_MAX)) if wanted.isdecimal() else default


def _segments(writer: Writer) -> Tree:
    keys = _numbered(writer, "Object", _PARTS, "mp4")
    return writer.files([(key, writer.file(kind_of(key, "mp4"), key)) for key in keys])


def _streams(writer: Writer) -> Tree:
    """The requested streams; CI does not report what is in them."""
    asked = [one for one in children(writer.output, "StreamExtract") if isinstance(one, dict)]
    keys = [text(one, "Output") for one in asked if text(one, "Output")]
    made = [(key, writer.file(kind_of(key, "mp4"), key)) for key in keys]
    return {name: node for name, node in writer.files(made).items() if name == "MediaResult"} if made else {}


_FILES: dict[str, Callable[[Writer], Tree]] = {
    **dict.fromkeys(_PICTURES, _pictures),
    "Segment": _segments,
    "StreamExtract": _streams,
}
