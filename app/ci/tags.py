"""The tags of CI's pages and callbacks. CI may add others, so an unknown tag is only a warning."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from app.ci.outgoing.facts import NEEDS_OPERATION, NO_INPUT, NO_OPERATION
from app.ci.outgoing.request import VOICE_SEPARATE

_OTHERS: Final = (
    *("DocProcess", "FileHashCode", "FileUncompress", "ImageOCR", "PosterProduction", "QualityEstimate"),
    *("SegmentVideoBody", "SoundHound", "TextTranslate", "VideoEnhance", "VideoTag", "VideoTargetRec"),
    *("VoiceSynthesis", "Watermark"),
    *("Review", "ReviewAudio", "ReviewDocument", "ReviewHtml", "ReviewImage", "ReviewText", "ReviewVideo"),
    *("TaskFinish", "WorkflowFinish"),
)
KNOWN: Final = NEEDS_OPERATION | {VOICE_SEPARATE, *NO_INPUT, *NO_OPERATION, *_OTHERS}


def doubtful(tag: str) -> str | None:
    """Why a tag may be a mistake, as a clause whose subject is the tag; ``None`` for a known one."""
    if tag in KNOWN:
        return None
    folded = {known.lower(): known for known in KNOWN}
    near = get_close_matches(tag.lower(), folded, 1, 0.7)
    return "is no tag of CI that is known here" + (f"; did you mean {folded[near[0]]!r}?" if near else "")
