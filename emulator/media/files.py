"""Small playable files, and CI's MediaInfo of them."""

from __future__ import annotations

import array
import io
import math
import wave
from dataclasses import dataclass
from functools import cache

from emulator.http.tree import Node, Tree
from emulator.media.make import AUDIO, PITCHES, SAMPLES
from emulator.media.marks import marked

WAV_RATE = 8000
_SOUND, _FILM, _PICTURE = "vocals", "film", "picture"
_OTHER_NAMES = {"jpeg": "jpg", "m4v": "mp4", "mov": "mp4", "mpeg": "mp3"}


@dataclass(frozen=True)
class About:
    """The MediaInfo of one kind of file: its format, and its audio and video if it has them."""

    format: str
    long_name: str
    seconds: float
    audio: str = ""
    audio_long: str = ""
    rate: int = 0
    video: str = ""
    video_long: str = ""
    width: int = 0
    height: int = 0
    fps: int = 0


_ABOUT = {
    "mp3": About("mp3", "MP2/3 (MPEG audio layer 2/3)", 1.044898, "mp3", "MP3 (MPEG audio layer 3)", 44100),
    "aac": About(
        "aac", "raw ADTS AAC (Advanced Audio Coding)", 1.044898, "aac", "AAC (Advanced Audio Coding)", 44100
    ),
    "flac": About("flac", "raw FLAC", 1.0, "flac", "FLAC (Free Lossless Audio Codec)", 11025),
    "amr": About("amr", "3GPP AMR", 1.02, "amr_nb", "AMR-NB (Adaptive Multi-Rate NarrowBand)", 8000),
    "wav": About(
        "wav", "WAV / WAVE (Waveform Audio)", 1.0, "pcm_s16le", "PCM signed 16-bit little-endian", WAV_RATE
    ),
    "mp4": About(
        *("mov,mp4,m4a,3gp,3g2,mj2", "QuickTime / MOV", 1.0, "aac", "AAC (Advanced Audio Coding)", 44100),
        *("h264", "H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10", 160, 90, 10),
    ),
    "gif": About(
        *("gif", "CompuServe Graphics Interchange Format (GIF)", 1.0, "", "", 0),
        *("gif", "CompuServe GIF (Graphics Interchange Format)", 80, 45, 5),
    ),
}


@dataclass(frozen=True)
class File:
    """One file to be written; ``suffix`` is its real type, whatever its key ends in."""

    suffix: str
    body: bytes

    @property
    def about(self) -> About | None:
        return _ABOUT.get(self.suffix)


def kind_of(key: str, default: str) -> str:
    """The kind of file that a key's extension asks for, if there is a sample of it."""
    suffix = key.rpartition(".")[2].lower() if "." in key else ""
    suffix = _OTHER_NAMES.get(suffix, suffix)
    return suffix if suffix in {*_ABOUT, "jpg", "png"} else default


def file(suffix: str, note: str, voice: str = _SOUND) -> File:
    """A file of that kind; ``voice`` chooses the tone of a sound, and the note makes it unlike any other."""
    return File(suffix, marked(suffix, _body(suffix, voice), note))


@cache
def _body(suffix: str, voice: str) -> bytes:
    if suffix == "wav":
        return _tone(PITCHES[voice])
    name = voice if suffix in AUDIO else _FILM if suffix in {"mp4", "gif"} else _PICTURE
    return (SAMPLES / f"{name}.{suffix}").read_bytes()


def _tone(pitch: int) -> bytes:
    samples = array.array(
        "h", (int(12000 * math.sin(2 * math.pi * pitch * n / WAV_RATE)) for n in range(WAV_RATE))
    )
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(WAV_RATE)
        written.writeframes(samples.tobytes())
    return buffer.getvalue()


def media_info(files: list[File]) -> Tree:
    """One Format, for the first file, and one stream per file: the published shape. Pictures have empty nodes."""
    first = files[0]
    about = first.about
    if about is None:
        return {"Format": "", "Stream": {"Audio": "", "Subtitle": "", "Video": ""}}
    audio, video = [_audio(each) for each in files], [_video(each) for each in files]
    form: Tree = {
        "Bitrate": _kbit(first, about),
        "Duration": f"{about.seconds:.6f}",
        "FormatLongName": about.long_name,
        "FormatName": about.format,
        "NumProgram": "0",
        "NumStream": str(bool(about.audio) + bool(about.video)),
        "Size": str(len(first.body)),
        "StartTime": "0.000000",
    }
    streams: Tree = {"Audio": _streams(audio), "Subtitle": "", "Video": _streams(video)}
    return {"Format": form, "Stream": streams}


def _streams(found: list[Tree]) -> Node:
    """CI's JSON: one item stands alone, several are a list."""
    several: list[Node] = [each for each in found if each]
    return several if len(several) > 1 else several[0] if several else ""


def _kbit(file: File, about: About) -> str:
    return f"{len(file.body) * 8 / about.seconds / 1000:.6f}"


def _common(index: int, about: About, codec: str, long_name: str, base: str) -> Tree:
    return {
        "CodecLongName": long_name,
        "CodecName": codec,
        "CodecTag": "0x0000",
        "CodecTagString": "[0][0][0][0]",
        "CodecTimeBase": base,
        "Duration": f"{about.seconds:.6f}",
        "Index": str(index),
        "StartTime": "0.000000",
        "Timebase": base,
    }


def _audio(file: File) -> Tree:
    about = file.about
    if about is None or not about.audio:
        return {}
    base = f"1/{about.rate}"
    return {
        **_common(1 if about.video else 0, about, about.audio, about.audio_long, base),
        "Bitrate": _kbit(file, about),
        "Channel": "1",
        "ChannelLayout": "mono",
        "SampleFmt": "s16",
        "SampleRate": str(about.rate),
    }


def _video(file: File) -> Tree:
    about = file.about
    if about is None or not about.video:
        return {}
    return {
        **_common(0, about, about.video, about.video_long, f"1/{about.fps}"),
        "AvgFps": f"{about.fps:.6f}",
        "Fps": f"{about.fps:.6f}",
        "Height": str(about.height),
        "Width": str(about.width),
        "NumFrames": str(int(about.fps * about.seconds)),
        "PixFormat": "yuv420p",
        "Rotation": "0.000000",
    }
