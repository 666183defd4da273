"""CI's ``MediaInfo``, typed: of the file that the job made, or of its input if it made none."""

import re
from typing import Any, Final

from app.ci.bounds import cut
from app.ci.incoming.fields import integer, node, nodes, word
from app.ci.report import Media

_NUMBER: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(?:/([0-9]{1,12}))?")
_KBIT: Final = 1000


def media(operation: dict[str, Any]) -> Media | None:
    """``None`` if CI reports no ``MediaInfo``. Of several streams of a kind the first one counts."""
    info = node(operation.get("MediaInfo"))
    if not info:
        return None
    about, streams = _first(info.get("Format")), node(info.get("Stream"))
    video, audio = _first(streams.get("Video")), _first(streams.get("Audio"))
    duration, size = _number(about.get("Duration")), _whole(about.get("Size"))
    found = Media(
        format=cut("media.format", word(about.get("FormatName"))),
        duration_s=duration,
        size=size,
        bitrate=_bits(_number(about.get("Bitrate")), duration, size),
        width=_whole(video.get("Width")),
        height=_whole(video.get("Height")),
        fps=_number(video.get("Fps")) or _number(video.get("AvgFps")),
        video_codec=cut("media.video_codec", word(video.get("CodecName"))),
        audio_codec=cut("media.audio_codec", word(audio.get("CodecName"))),
    )
    return None if found == Media() else found


def _first(value: Any) -> dict[str, Any]:
    return next(iter(nodes(value)), {})


def _whole(value: Any) -> int | None:
    found = integer(value)
    return None if found is None or found < 0 else found


def _number(value: Any) -> float | None:
    """A positive number, or a fraction as CI writes some rates (``50/1``)."""
    found = _NUMBER.fullmatch(word(value) or "")
    if not found:
        return None
    number, divisor = float(found[1]), float(found[2] or 1)
    return round(number / divisor, 6) if divisor else None


def _bits(bitrate: float | None, duration: float | None, size: int | None) -> int | None:
    """Bits a second. CI documents kbit as the unit, and some of its samples have bits: if the file's size and duration
    are given, the unit that agrees better with them is taken."""
    if bitrate is None:
        return None
    in_bits = bitrate * _KBIT
    if not bitrate or not duration or not size:
        return round(in_bits)
    average = size * 8 / duration
    is_bit = max(bitrate, average) / min(bitrate, average) < max(in_bits, average) / min(in_bits, average)
    return round(bitrate if is_bit else in_bits)
