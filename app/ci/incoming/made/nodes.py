"""The table of CI's names for the products of a job, by tag, from Tencent's pages on callbacks and its SDKs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple


class Made(NamedTuple):
    """Where a JobsDetail of one tag reports its products. All names are nodes of ``Operation``."""

    result: str | None = None
    """The result, for a product that is not only a file."""
    files: tuple[str, ...] = ()
    """Names of files within ``result``, for tags without ``MediaResult``; a dot steps into a node."""
    asked_is_made: bool = False
    """CI never reports the file: after a success it is the one that ``Output.Object`` names."""


TAGS: Final = MappingProxyType(
    {
        "Animation": Made(),
        "Concat": Made(),
        "DNA": Made("DnaResult"),
        "DigitalWatermark": Made(),
        "DocProcess": Made("DocProcessResult", ("PageInfo.TgtUri",)),
        "DocWatermark": Made("DocWatermarkResult", (), True),
        "ExtractDigitalWatermark": Made("ExtractDigitalWatermark"),
        "FileCompress": Made("FileCompressResult", ("Object",)),
        "FileHashCode": Made("FileHashCodeResult"),
        "FileUncompress": Made("FileUncompressResult"),
        "FillConcat": Made(),
        "ImageInspect": Made("ImageInspectResult"),
        "ImageOCR": Made("ImageOcrResult"),
        "MediaInfo": Made("MediaInfo"),
        "NoiseReduction": Made(None, (), True),
        "PicProcess": Made("PicProcessResult", ("ObjectName",), True),
        "PosterProduction": Made(),
        "QualityEstimate": Made("QualityEstimate"),
        "SDRtoHDR": Made(),
        "Segment": Made(),
        "SegmentVideoBody": Made(),
        "SmartCover": Made(),
        "Snapshot": Made(),
        "SoundHound": Made("SoundHoundResult"),
        "SpeechRecognition": Made("SpeechRecognitionResult", ("ObjectName", "DetailObjectName"), True),
        "SplitVideoParts": Made("SplitVideoInfoResult"),
        "StreamExtract": Made(),
        "SuperResolution": Made(),
        "Transcode": Made(),
        "Translation": Made("TranslationResult", (), True),
        "Tts": Made(),
        "VideoEnhance": Made(),
        "VideoMontage": Made(),
        "VideoProcess": Made(),
        "VideoSynthesis": Made(),
        "VideoTag": Made("VideoTagResult"),
        "VideoTargetRec": Made("VideoTargetRecResult"),
        "VocalScore": Made("VocalScoreResult"),
        "VoiceSeparate": Made(),
        "WordsGeneralize": Made("WordsGeneralizeResult"),
    }
)

RESULT: Final = "Result"
"""How CI's names of result nodes end, also for tags that are not in the table."""

FILES: Final = "MediaResult"
"""The one such name that is a list of files."""

_NOTHING: Final = Made()
_BY_NODE: Final = {
    name: tag
    for tag, made in TAGS.items()
    if made.result and tag != "MediaInfo"
    for name in (tag, made.result)
}
"""Nodes that only one tag has: its result, and its parameters. (Each media job has a ``MediaInfo``.)"""


def made_by(tag: str | None) -> Made:
    """The entry of that tag; an empty one for an unknown tag."""
    return TAGS.get(tag, _NOTHING) if tag else _NOTHING


def result_names(found: Mapping[str, Any]) -> list[str]:
    """Nodes that are a result by their name, sorted, because XML and JSON may order them differently."""
    return sorted(name for name in found if name.endswith(RESULT) and name not in {FILES, RESULT})


def tag_of(operation: Mapping[str, Any]) -> str | None:
    """The tag that an operation's nodes imply, if CI named none."""
    tags = {_BY_NODE[name] for name in operation if name in _BY_NODE}
    return tags.pop() if len(tags) == 1 else None
