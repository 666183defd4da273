"""CI's XML for a request: the body of `POST /jobs`, nodes in the order of Tencent's samples."""

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

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
    root = Element("Request")
    where = defaults.input(request)
    if request.operations is None:
        _text(root, "Tag", request.tag)
    _input(root, request)
    for _path, operation in request.each():
        tag = None if request.operations is None else request.tag_of(operation)
        _operation(root, tag, operation, where)
    _text(root, "QueueId", request.queue_id)
    _callback(root, request, callback, defaults)
    return _bytes(root)


def _input(root: Element, request: SubmitRequest) -> None:
    """None at all for what works on no file: CI's requests for Tts have no such node."""
    if request.input.object or request.input.url:
        node = SubElement(root, "Input")
        _text(node, "Object", request.input.object)
        _text(node, "Url", request.input.url)


def _bytes(root: Element) -> bytes:
    indent(root, "")
    # A parser turns a bare carriage return into a line feed; only as a reference does it arrive as it is.
    text: str = tostring(root, encoding="unicode")
    return text.replace("\r", "&#13;").encode()


def _operation(root: Element, tag: str | None, operation: Operation, where: Defaults) -> None:
    """None at all where it would be empty: MediaInfo needs none."""
    node = Element("Operation")
    _text(node, "Tag", tag)
    _text(node, "TemplateId", operation.template_id)
    if operation.voice_separate:
        _voice_separate(SubElement(node, "VoiceSeparate"), operation.voice_separate)
    for name, value in (operation.operation or {}).items():
        if name != "Tag":
            _raw(node, name, value)
    if operation.output:
        _output(SubElement(node, "Output"), operation.output, where)
    _text(node, "UserData", operation.user_data)
    _text(node, "JobLevel", operation.job_level)
    if len(node):
        root.append(node)


def _voice_separate(node: Element, separate: VoiceSeparate) -> None:
    config = SubElement(node, "AudioConfig")  # CI requires the container, not what is in it
    for name in ("bitrate", "channels", "codec", "samplerate"):
        _text(config, ci_name(name), getattr(separate.audio_config or AudioConfig(), name))
    _text(node, "AudioMode", separate.audio_mode)


def _output(node: Element, output: RequestOutput, where: Defaults) -> None:
    _text(node, "Region", output.region or where.region)
    _text(node, "Bucket", output.bucket or where.bucket)
    for name in ("object", "au_object", "bass_object", "drum_object"):
        _text(node, ci_name(name), getattr(output, name))


def _callback(root: Element, request: SubmitRequest, callback: str | None, defaults: Defaults) -> None:
    _text(root, "CallBack", callback)
    told = callback not in (None, "no") or request.callback_kind == "queue"
    chosen = request.callback_format or (defaults.callback_format if told else None)
    _text(root, "CallBackFormat", chosen and chosen.upper())
    kind = request.callback_type
    _text(root, "CallBackType", kind and _CALLBACK_TYPES.get(kind.lower(), kind))
    if request.callback_mq_config:
        node = SubElement(root, "CallBackMqConfig")
        for name in MqConfig.model_fields:
            _text(node, ci_name(name), getattr(request.callback_mq_config, name))


def _text(parent: Element, name: str, text: str | None) -> None:
    """A node with text; no node for no text."""
    if text:
        SubElement(parent, name).text = text


def _raw(parent: Element, name: str, value: Any) -> None:
    """JSON as nodes: an object holds its children, a list repeats the node, null is left out."""
    for one in value if isinstance(value, list | tuple) else (value,):
        if one is None:
            continue
        node = SubElement(parent, name)
        if isinstance(one, Mapping):
            for child, inner in one.items():
                _raw(node, child, inner)
        else:
            node.text = _scalar(one)


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
