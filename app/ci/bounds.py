"""The longest text of each field of a record. A longer text is cut and ends in ``…``; ``raw`` has the exact bytes.

Names are those of the normalized job, dotted; lengths are characters. An id is never cut, since two could become equal:
a job id that is too long is refused.
"""

from types import MappingProxyType
from typing import Final, overload

_WORD, _ID, _NAME, _KEY = 64, 128, 128, 1024

BOUNDS: Final = MappingProxyType(
    {
        "job_id": _ID,
        "tag": _WORD,
        "state": _WORD,
        "code": _NAME,
        "message": 2048,
        "created_at": _WORD,
        "started_at": _WORD,
        "ended_at": _WORD,
        "queue_id": _ID,
        "queue_type": _WORD,
        "input.bucket": _NAME,  # COS: with its APPID at most 60 bytes
        "input.region": _WORD,
        "input.object": _KEY,  # COS: at most 850 bytes
        "input.url": 4096,
        "template.id": _ID,
        "template.name": _NAME,
        "outputs.role": _WORD,
        "outputs.bucket": _NAME,
        "outputs.region": _WORD,
        "outputs.object": _KEY,
        "outputs.md5": _WORD,
        "outputs.etag": _NAME,
        "user_data": 1024,  # CI's own most
        "workflow.run_id": _ID,
        "workflow.id": _ID,
        "workflow.name": _NAME,
        "workflow.node": _NAME,
        "media.format": _NAME,
        "media.video_codec": _WORD,
        "media.audio_codec": _WORD,
        "result.kind": _WORD,
        "result.verdict.label": _WORD,
        "error.code": 100,
        "error.message": 500,
        "error.request_id": _NAME,
        "queue.id": _ID,
        "queue.name": _NAME,
        "queue.word": _WORD,
        "queue.url": 4096,
    }
)


@overload
def cut(field: str, found: str) -> str: ...
@overload
def cut(field: str, found: None) -> None: ...
@overload
def cut(field: str, found: str | None) -> str | None: ...
def cut(field: str, found: str | None) -> str | None:
    """A text within the bound of its field."""
    if found is None or len(found) <= BOUNDS[field]:
        return found
    return found[: BOUNDS[field] - 1] + "…"
