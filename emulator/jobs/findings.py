"""Results of jobs that are not files of MediaResult, and files that CI reports elsewhere or not at all. The values are
invented, the forms are those that CI publishes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from emulator.http.tree import Node, Tree, child, text
from emulator.media.files import File, file, kind_of, media_info

if TYPE_CHECKING:
    from emulator.jobs.written import Writer

Finding: TypeAlias = "Callable[[Writer], Tree]"

WORDS = ("Hello", "from", "the", "emulator")
SENTENCE = " ".join(WORDS) + "."
WATERMARK = "emulator"
_MS, _PAGES = 250, 2


def _written(writer: Writer, name: str, body: bytes, suffix: str = "txt") -> str:
    """Write the file that was asked for; its key, empty if none was."""
    key = writer.key(ext=suffix) if text(writer.output, "Object") else ""
    if key:
        writer.write(key + name, body)
    return key and key + name


def _speech(writer: Writer) -> Tree:
    """The text, in the answer and as a file, with its times in a second one."""
    end = len(WORDS) * _MS
    spoken = f"[0:0.000,0:{end / 1000:.3f}]  {SENTENCE}"
    words: list[Node] = [
        {
            "OffsetEndMs": str((n + 1) * _MS),
            "OffsetStartMs": str(n * _MS),
            "VoiceType": "0",
            "Word": word,
        }
        for n, word in enumerate(WORDS)
    ]
    detail: Tree = {
        "EndMs": str(end),
        "FinalSentence": SENTENCE,
        "SliceSentence": " ".join(WORDS),
        "SpeakerId": "0",
        "SpeechSpeed": "4.0",
        "StartMs": "0",
        "Words": words,
        "WordsNum": str(len(WORDS)),
    }
    found: Tree = {"AudioTime": f"{end / 1000:.4f}", "Result": spoken, "ResultDetail": detail}
    key = _written(writer, "", spoken.encode())
    if key:
        found |= {
            "ObjectName": key,
            "DetailObjectName": _written(writer, ".detail", json.dumps(words).encode()),
        }
    return {"SpeechRecognitionResult": found}


def _translation(writer: Writer) -> Tree:
    """CI writes the file and does not report it."""
    _written(writer, "", SENTENCE.encode())
    return {}


def _noise_reduction(writer: Writer) -> Tree:
    suffix = kind_of(text(writer.output, "Object"), "wav")
    _written(writer, "", writer.file(suffix, "Object").body, suffix)
    return {}


def _picture(writer: Writer) -> Tree:
    suffix = kind_of(text(writer.output, "Object"), "jpg")
    body = writer.file(suffix, "Object").body
    size: Tree = {
        "Format": suffix.upper().replace("JPG", "JPEG"),
        "Height": "90",
        "Width": "160",
        "Quality": "68",
    }
    about: Tree = {"Ave": "0x808080", "Orientation": "0", **size}
    found: Tree = {
        "OriginalInfo": {
            "Etag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
            "ImageInfo": about,
        },
        "ProcessResult": {"Etag": "", "Size": str(len(body)), **size},
    }
    key = _written(writer, "", body, suffix)
    return {"PicProcessResult": {**({"ObjectName": key} if key else {}), **found}}


def _words(_writer: Writer) -> Tree:
    """Each word with its place; one category."""
    at = 0
    tokens: list[Node] = []
    for word in WORDS:
        tokens.append({"Length": str(len(word)), "Offset": str(at), "Pos": "nx", "Word": word})
        at += len(word) + 1
    label: Tree = {"Category": "Software", "Word": WORDS[-1]}
    return {"WordsGeneralizeResult": {"WordsGeneralizeLable": label, "WordsGeneralizeToken": tokens}}


def _tags(_writer: Writer) -> Tree:
    tag: Tree = {"Confidence": "0.808393", "Tag": "Test pattern", "TagCls": "Other"}
    scene: Tree = {"StartTime": "0", "EndTime": "1", "Tags": tag}
    data: Tree = {"ActionTags": scene, "PlaceTags": scene, "ObjectTags": "", "PersonTags": "", "Tags": tag}
    return {"VideoTagResult": {"StreamData": {"Data": data, "SubErrCode": "0", "SubErrMsg": "ok"}}}


def _input_of(writer: Writer) -> File:
    """The film that is used as the job's input."""
    return file("mp4", text(writer.job.input, "Object"))


def _media_info(writer: Writer) -> Tree:
    return {"MediaInfo": media_info([_input_of(writer)])}


def _quality(writer: Writer) -> Tree:
    return {
        **_media_info(writer),
        "MediaResult": {"OutputFile": ""},
        "QualityEstimate": {"Score": "6.460358"},
    }


def _watermark(_writer: Writer) -> Tree:
    return {"ExtractDigitalWatermark": {"Message": WATERMARK, "Type": "Text", "Version": "V1"}}


def _hash(writer: Writer) -> Tree:
    """Of the object's name: the object need not be there."""
    name = text(writer.job.input, "Object").encode()
    kind = text(child(writer.job.operation, "FileHashCodeConfig"), "Type") or "MD5"
    digest = hashlib.new(
        kind if kind in {"SHA1", "SHA256"} else "MD5", name, usedforsecurity=False
    ).hexdigest()
    found: Tree = {kind: digest, "FileSize": str(len(name)), "Etag": digest[:32]}
    return {"FileHashCodeResult": found}


def _pages(writer: Writer) -> Tree:
    """A document of two pages, each a picture."""
    pages: list[Node] = []
    for n in range(1, _PAGES + 1):
        key = writer.key(ext="jpg", number=str(n), page=str(n))
        if key:
            writer.write(key, writer.file(kind_of(key, "jpg"), key).body)
            pages.append(
                {"PageNo": str(n), "PicIndex": "0", "PicNum": "0", "TgtUri": key, "X-SheetPics": "0"}
            )
    found: Tree = {
        "FailPageCount": "0",
        "PageInfo": pages,
        "SuccPageCount": str(_PAGES),
        "TaskId": writer.job.id,
        "TgtType": "jpg",
        "TotalPageCount": str(_PAGES),
        "TotalSheetCount": "0",
    }
    return {"DocProcessResult": found}


FINDINGS: dict[str, Finding] = {
    "DocProcess": _pages,
    "ExtractDigitalWatermark": _watermark,
    "FileHashCode": _hash,
    "MediaInfo": _media_info,
    "NoiseReduction": _noise_reduction,
    "PicProcess": _picture,
    "QualityEstimate": _quality,
    "SoundHound": lambda _: {
        "SoundHoundResult": {"SongList": {"Inlier": "9", "SingerName": "The Emulators", "SongName": "Tone"}}
    },
    "SpeechRecognition": _speech,
    "Translation": _translation,
    "VideoTag": _tags,
    "VideoTargetRec": lambda _: {
        "VideoTargetRecResult": {
            "BodyRecognition": {"Time": "0:0:1", "Url": "", "BodyInfo": {"Name": "person"}}
        }
    },
    "VocalScore": lambda _: {"VocalScoreResult": {"PitchScore": {"TotalScore": "88.5"}}},
    "WordsGeneralize": _words,
}
