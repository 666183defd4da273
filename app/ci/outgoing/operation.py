"""One view of an operation, whether it was written in typed fields, as CI's raw node, or as a mix of both."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import Struct
from pydantic import BaseModel

from app.ci.outgoing.request import AudioConfig, Operation, RequestOutput, SubmitRequest, VoiceSeparate

_T = TypeVar("_T", bound=BaseModel)

TYPED = {
    "template_id": "TemplateId",
    "voice_separate": "VoiceSeparate",
    "output": "Output",
    "user_data": "UserData",
    "job_level": "JobLevel",
}
"""Our names for the children of CI's Operation that have typed fields, and CI's."""


@lru_cache(maxsize=64)
def ci_name(name: str) -> str:
    """CI's name of one of our fields: `au_object` is `AuObject`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


class View(Struct, frozen=True):
    """The values of an operation, from its typed fields or its raw node."""

    tag: str
    path: str  # "" or "operations.<n>."
    template_id: str | None
    voice_separate: VoiceSeparate | None
    output: RequestOutput | None
    user_data: str | None
    job_level: str | None
    raw: Mapping[str, Any]
    twice: tuple[str, ...]  # typed fields that the raw node has as well

    def field(self, name: str) -> str:
        """The path under which the caller wrote this field: ours, or CI's names below `operation`."""
        top = name.partition(".")[0]
        if top in TYPED and top not in self.twice and TYPED[top] in self.raw:
            return f"{self.path}operation." + ".".join(map(ci_name, name.split(".")))
        return self.path + name


def views(request: SubmitRequest) -> tuple[View, ...]:
    """Every operation of the request, in order."""
    return tuple(_view(path, request.tag_of(operation), operation) for path, operation in request.each())


def _view(path: str, tag: str, operation: Operation) -> View:
    raw = operation.operation or {}
    separate, output = raw.get("VoiceSeparate"), raw.get("Output")
    return View(
        tag=tag,
        path=path,
        template_id=operation.template_id or _text(raw.get("TemplateId")),
        voice_separate=operation.voice_separate or _separate(separate),
        output=operation.output or (_part(RequestOutput, output) if isinstance(output, Mapping) else None),
        user_data=_first(operation.user_data, _text(raw.get("UserData"))),
        job_level=_first(operation.job_level, _text(raw.get("JobLevel"))),
        raw=raw,
        twice=tuple(o for o, ci in TYPED.items() if ci in raw and getattr(operation, o) is not None),
    )


def _first(typed: str | None, raw: str | None) -> str | None:
    return typed if typed is not None else raw


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)


def _separate(raw: object) -> VoiceSeparate | None:
    if not isinstance(raw, Mapping):
        return None
    config = raw.get("AudioConfig")
    return VoiceSeparate(
        audio_mode=_text(raw.get("AudioMode")),
        # An empty node of an XML file is read as empty text: the container is present, and empty.
        audio_config=_part(AudioConfig, config or {})
        if isinstance(config, Mapping) or config == ""
        else None,
    )


def _part(model: type[_T], raw: Mapping[str, Any]) -> _T:
    return model(**{name: _text(raw.get(ci_name(name))) for name in model.model_fields})
