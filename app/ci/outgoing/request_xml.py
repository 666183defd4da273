"""CI's XML for a request: the body of `POST /jobs`, nodes in the order of Tencent's samples."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.ci.outgoing.operation import ci_name
from app.ci.outgoing.request import (
    AudioConfig,
    Defaults,
    MqConfig,
    Operation,
    RequestOutput,
    SubmitRequest,
    VoiceSeparate,
)

_CALLBACK_TYPES = {"url": "Url", "tdmq": "TDMQ"}


def render(request: SubmitRequest, callback: str | None, defaults: Defaults) -> bytes:
    """The exact bytes to send, UTF-8. `callback` is a URL, `no`, or None to leave CallBack out.

    The request must have passed `rules.check`: what XML cannot hold is refused there, not here.
    """
    return branch("Request", _request(request, callback, defaults)).encode()


def leaf(name: str, text: str) -> str:
    """A node that holds text."""
    for char, escaped in _ESCAPES:
        text = text.replace(char, escaped)
    return f"<{name}>{text}</{name}>" if text else f"<{name} />"


# A parser turns a bare carriage return into a line feed; only as a reference does it arrive as it is.
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))


def branch(name: str, children: Iterable[str]) -> str:
    """A node that holds nodes, a line each."""
    inside = "\n".join(children)
    return f"<{name}>\n{inside}\n</{name}>" if inside else f"<{name} />"


def _request(request: SubmitRequest, callback: str | None, defaults: Defaults) -> Iterator[str]:
    where = defaults.input(request)
    if request.operations is None:
        yield from _text("Tag", request.tag)
    if request.input.object or request.input.url:
        # No Input node without a file: CI's requests for Tts have none.
        yield branch("Input", (*_text("Object", request.input.object), *_text("Url", request.input.url)))
    for _path, operation in request.each():
        tag = None if request.operations is None else request.tag_of(operation)
        # No empty Operation: MediaInfo needs none.
        if children := tuple(_operation(tag, operation, where)):
            yield branch("Operation", children)
    yield from _text("QueueId", request.queue_id)
    yield from _callback(request, callback, defaults)


def _operation(tag: str | None, operation: Operation, where: Defaults) -> Iterator[str]:
    yield from _text("Tag", tag)
    yield from _text("TemplateId", operation.template_id)
    if operation.voice_separate:
        yield branch("VoiceSeparate", _voice_separate(operation.voice_separate))
    for name, value in (operation.operation or {}).items():
        if name != "Tag":
            yield from _raw(name, value)
    if operation.output:
        yield branch("Output", _output(operation.output, where))
    yield from _text("UserData", operation.user_data)
    yield from _text("JobLevel", operation.job_level)


def _voice_separate(separate: VoiceSeparate) -> Iterator[str]:
    config = separate.audio_config or AudioConfig()
    # CI requires the container; it may be empty.
    yield branch("AudioConfig", _fields(config, ("bitrate", "channels", "codec", "samplerate")))
    yield from _text("AudioMode", separate.audio_mode)


def _output(output: RequestOutput, where: Defaults) -> Iterator[str]:
    yield from _text("Region", output.region or where.region)
    yield from _text("Bucket", output.bucket or where.bucket)
    yield from _fields(output, ("object", "au_object", "bass_object", "drum_object"))


def _callback(request: SubmitRequest, callback: str | None, defaults: Defaults) -> Iterator[str]:
    yield from _text("CallBack", callback)
    has_callback = callback not in (None, "no") or request.callback_kind == "queue"
    chosen = request.callback_format or (defaults.callback_format if has_callback else None)
    yield from _text("CallBackFormat", chosen and chosen.upper())
    kind = request.callback_type
    yield from _text("CallBackType", kind and _CALLBACK_TYPES.get(kind.lower(), kind))
    if request.callback_mq_config:
        yield branch("CallBackMqConfig", _fields(request.callback_mq_config, MqConfig.model_fields))


def _fields(part: object, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield from _text(ci_name(name), getattr(part, name))


def _text(name: str, text: str | None) -> Iterator[str]:
    """A node with text; no node for no text."""
    if text:
        yield leaf(name, text)


def _raw(name: str, value: Any) -> Iterator[str]:
    """JSON as nodes: an object holds its children, a list repeats the node, null is left out."""
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, Mapping):
            yield branch(name, (each for child, inner in one.items() for each in _raw(child, inner)))
        elif one is not None:
            yield leaf(name, _scalar(one))


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
