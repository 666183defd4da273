"""A report: CI's statement about one job at one time, in one form for all dialects."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from app.core.pydantic_part import PydanticPart

TERMINAL: Final = frozenset({"Success", "Failed", "Cancel"})
"""CI's own words for the states of a job that has ended."""

_RANK: Final = {"Submitted": 1, "Running": 2, "Pause": 2, **dict.fromkeys(TERMINAL, 3)}

STATES: Final = frozenset(_RANK)
"""CI's words for all states."""


def rank(state: str | None) -> int:
    """The progress of a job by its state: 0 unknown, 1 submitted, 2 running or paused, 3 terminal. Lower is older."""
    return _RANK.get(state, 0) if state else 0


class Input(PydanticPart, frozen=True, kw_only=True):
    """The file that the job works on, in a bucket or at a URL. ``object`` has no leading slash."""

    bucket: str | None = None
    region: str | None = None
    object: str | None = None
    url: str | None = None


class Template(PydanticPart, frozen=True, kw_only=True):
    """The template that the job was made from, by CI's id and the name its owner gave it."""

    id: str | None = None
    name: str | None = None


class Output(PydanticPart, frozen=True, kw_only=True):
    """One file that CI reports to have written. We add ``size`` (bytes), ``etag`` and ``url`` later, from COS."""

    role: str | None = None
    bucket: str | None = None
    region: str | None = None
    object: str
    md5: str | None = None
    size: int | None = None
    etag: str | None = None
    url: str | None = None


class Media(PydanticPart, frozen=True, kw_only=True):
    """CI's ``MediaInfo``: ``bitrate`` in bits a second, ``format`` and codecs in CI's words. It describes the one
    output, or all outputs if they are alike; for a job that makes no file, its input."""

    format: str | None = None
    duration_s: float | None = None
    size: int | None = None
    bitrate: int | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    video_codec: str | None = None
    audio_codec: str | None = None


class Verdict(PydanticPart, frozen=True, kw_only=True):
    """The verdict of a review. ``suggestion`` is CI's number: 0 normal, 1 block, 2 review by a person."""

    label: str | None = None
    suggestion: int | None = None
    score: int | None = None


class JobResult(PydanticPart, frozen=True, kw_only=True):
    """The result of a job that produces more than files. ``data`` is CI's node ``kind`` as a JSON view: scalars are
    strings, empty nodes are left out, and a repeated node is an array if there are several of it."""

    kind: str
    data: Any = None
    verdict: Verdict | None = None


class Workflow(PydanticPart, frozen=True, kw_only=True):
    """The workflow run that a job is part of; with ``node`` ``None``, the run that this record is of."""

    run_id: str | None = None
    id: str | None = None
    name: str | None = None
    node: str | None = None


class Report(Struct, frozen=True, kw_only=True):
    """One job as one body described it. Times are RFC 3339 in UTC; what CI did not report is ``None``.

    A part (``input``, ``template``, ``workflow``) without any field is ``None`` itself. The order of the fields
    determines ``digest``: add a new one at the end, and leave it out of the digest if it is absent.
    """

    job_id: str
    tag: str | None = None
    state: str | None = None
    terminal: bool = False
    progress: int | None = None
    code: str | None = None
    message: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    queue_id: str | None = None
    queue_type: str | None = None
    input: Input | None = None
    template: Template | None = None
    outputs: tuple[Output, ...] = ()
    outputs_ok: bool | None = None
    user_data: str | None = None
    job_level: int | None = None
    workflow: Workflow | None = None
    media: Media | None = None
    result: JobResult | None = None

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """The inverse of ``to_json``; unknown fields are ignored. Raises ``msgspec.DecodeError``, a ``ValueError``."""
        return msgspec.json.decode(text, type=cls)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; unknown fields are ignored. Raises ``msgspec.ValidationError``."""
        return msgspec.convert(fields, cls)

    def to_json(self) -> bytes:
        """UTF-8, without blanks, every field, in the order above."""
        return _ENCODER.encode(self)

    def to_dict(self) -> dict[str, Any]:
        """What ``json.loads`` would make of ``to_json``."""
        return msgspec.json.decode(self.to_json())  # type: ignore[no-any-return]

    def undecided(self) -> Report:
        """The part that is shown before CI confirms it: which job it is, without state, outputs or result."""
        return Report(
            job_id=self.job_id,
            tag=self.tag,
            queue_id=self.queue_id,
            queue_type=self.queue_type,
            input=self.input,
            workflow=self.workflow,
        )

    @property
    def digest(self) -> str:
        """A hash of what CI reported, 128 bits in hex: the same content has the same digest from every source.

        Fields that we add (``size``, ``etag``, ``url`` of an output, ``outputs_ok``) are left out.
        """
        return digest_of(
            msgspec.structs.replace(self, outputs_ok=None, outputs=_as_reported(self.outputs)).to_json()
        )


def digest_of(encoded: bytes) -> str:
    """The ``digest`` of a report fresh from CI, from its ``to_json``: for a caller that needs both.

    Fields that we add are null in it, and are cut out as bytes: a name in unescaped quotes cannot be part of a text.
    """
    reported = encoded.removesuffix(_MADE_NOTHING).replace(_NO_FINDINGS, b"}").replace(_NO_VERDICT, b"")
    return blake2b(reported + (b"}" if encoded.endswith(_MADE_NOTHING) else b""), digest_size=16).hexdigest()


def _as_reported(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    return tuple(msgspec.structs.replace(each, size=None, etag=None, url=None) for each in outputs)


_ENCODER: Final = msgspec.json.Encoder()
_NO_FINDINGS: Final = b',"size":null,"etag":null,"url":null}'
_NO_VERDICT: Final = b',"outputs_ok":null'
_MADE_NOTHING: Final = b',"media":null,"result":null}'


class Detail(Struct, frozen=True):
    """One job of a body: its report, and the JSON view of its node with every field."""

    report: Report
    raw: dict[str, Any]
