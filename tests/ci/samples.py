"""Payloads of our own, after the shapes that CI publishes, and CI's dialects to write them in.

A job is written down once, as a plain tree: an object is a dict, repeated nodes are a list, every scalar is
its text, and None is what CI may leave empty or leave out.
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any
from xml.sax.saxutils import escape

Tree = dict[str, Any]


def voice_separate(**changes: Any) -> Tree:
    """A finished VoiceSeparate job; each change replaces a field of the JobsDetail."""
    detail: Tree = {
        "Code": "Success",
        "CreationTime": "2024-03-05T21:59:58+0800",
        "EndTime": "2024-03-05T22:00:31+0800",
        "Input": {"BucketId": "songs-1250000000", "Object": "in/tune.mp3", "Region": "ap-chongqing"},
        "JobId": "j0123456789abcdef0123456789abcdef",
        "Message": None,
        "Operation": {
            "JobLevel": "1",
            "MediaInfo": {"Format": {"Size": "1024", "FormatName": "mp3"}, "Stream": {"Video": None}},
            "MediaResult": {
                "OutputFile": {
                    "Bucket": "songs-1250000000",
                    "Md5Info": [
                        {"Md5": "0" * 31 + "a", "ObjectName": "out/voice.mp3"},
                        {"Md5": "0" * 31 + "b", "ObjectName": "out/rest.mp3"},
                    ],
                    "ObjectName": ["out/voice.mp3", "out/rest.mp3"],
                    "ObjectPrefix": None,
                    "Region": "ap-chongqing",
                }
            },
            "Output": {
                "AuObject": "out/voice.mp3",
                "Bucket": "songs-1250000000",
                "Object": "out/rest.mp3",
                "Region": "ap-chongqing",
            },
            "TemplateId": "t0123456789abcdef0123456789abcdef",
            "TemplateName": "split",
            "UserData": "order-42",
        },
        "Progress": None,
        "QueueId": "p0123456789abcdef0123456789abcdef",
        "QueueType": "Speeching",
        "StartTime": "2024-03-05T22:00:01+0800",
        "State": "Success",
        "Tag": "VoiceSeparate",
    }
    return {**detail, **changes}


def workflow_run(**changes: Any) -> Tree:
    """A finished run of a workflow of two steps."""
    run: Tree = {
        "BucketId": "films-1250000000",
        "CreateTime": "2024-03-05 22:00:01+0800",
        "Object": "in/film.mp4",
        "RunId": "i0123456789abcdef0123456789abcdef",
        "State": "Success",
        "Tasks": [
            {"Type": "Snapshot", "JobId": "j1", "State": "Success", "EndTime": "2024-03-05 22:00:09+0800"},
            {"Type": "Transcode", "JobId": "j2", "State": "Success", "EndTime": "2024-03-05 22:00:19+0800"},
        ],
        "WorkflowId": "w0123456789abcdef0123456789abcdef",
        "WorkflowName": "nightly",
    }
    return {**run, **changes}


def event(detail: Tree | list[Tree], name: str | None = "TaskFinish") -> Tree:
    """The envelope of a job callback."""
    return {"EventName": name, "JobsDetail": detail}


@dataclass(frozen=True)
class Dialect:
    """One of the ways in which CI, or its documents, write the same thing."""

    seed: int = 0
    shuffle: bool = False
    empty: str = "omit"
    """How None is written: ``omit``; ``node`` (an empty one, ``null`` in JSON); ``text`` (``""``); ``dash``."""
    typed: bool = False
    """JSON only: write ``"3"`` and ``"true"`` as a number and a boolean."""
    arrays: bool = False
    """JSON only: write an object in JobsDetail, Md5Info and the like as an array of one."""
    wrapper: bool = False
    """JSON only: put everything into ``Response``."""
    pretty: bool = False
    prolog: bytes = b""
    """XML only: what stands before the root."""


def xml(tree: Tree, dialect: Dialect = Dialect(), root: str = "Response") -> bytes:
    """One body as CI writes XML."""
    writer = _Writer(dialect)
    inner = writer.xml_children(tree, 1)
    end = "\n" if dialect.pretty else ""
    return dialect.prolog + f"<{root}>{inner}{end}</{root}>".encode()


def to_json(tree: Tree, dialect: Dialect = Dialect()) -> bytes:
    """One body as CI writes JSON."""
    value = _Writer(dialect).json_value(tree)
    value = {"Response": value} if dialect.wrapper else value
    return json.dumps(
        value, indent=4 if dialect.pretty else None, ensure_ascii=bool(dialect.seed % 2)
    ).encode()


ONE_OR_MANY = {"JobsDetail", "Md5Info", "ObjectName", "OutputFile", "PicProcessResult", "CosHeaders", "Audio"}


class _Writer:
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.random = Random(dialect.seed)

    def fields(self, tree: Tree) -> list[tuple[str, Any]]:
        fields = [
            (name, value) for name, value in tree.items() if value is not None or self.dialect.empty != "omit"
        ]
        if self.dialect.shuffle:
            self.random.shuffle(fields)
        return fields

    def items(self, values: list[Any]) -> list[Any]:
        return [one for one in values if one is not None or self.dialect.empty != "omit"]

    def xml_children(self, tree: Tree, level: int) -> str:
        written = []
        for name, value in self.fields(tree):
            for one in self.items(value) if isinstance(value, list) else [value]:
                written.append(self.xml_node(name, one, level))
        return "".join(written)

    def xml_node(self, name: str, value: Any, level: int) -> str:
        indent = "\n" + "    " * level if self.dialect.pretty else ""
        if value is None:
            empty = {"node": f"<{name}/>", "text": f"<{name}></{name}>", "dash": f"<{name}>-</{name}>"}
            return indent + empty[self.dialect.empty]
        if isinstance(value, dict):
            return f"{indent}<{name}>{self.xml_children(value, level + 1)}{indent}</{name}>"
        return f"{indent}<{name}>{self.xml_text(value)}</{name}>"

    def xml_text(self, text: str) -> str:
        if self.dialect.seed % 3 == 1 and "]]>" not in text and "\r" not in text:
            return f"<![CDATA[{text}]]>"
        return escape(text, {"\r": "&#13;", "\n": "&#10;"})

    def json_value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            node = {key: self.json_value(inner, key) for key, inner in self.fields(value)}
            return [node] if self.dialect.arrays and name in ONE_OR_MANY else node
        if isinstance(value, list):
            values = [self.json_value(one) for one in self.items(value)]
            return values[0] if len(values) == 1 and not self.dialect.arrays else values
        if value is None:
            return {"node": None, "text": "", "dash": "-"}[self.dialect.empty]
        scalar = _typed(value) if self.dialect.typed else value
        return [scalar] if self.dialect.arrays and name in ONE_OR_MANY else scalar


def _typed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        number: Any = json.loads(text)
    except ValueError:
        return text
    return number if isinstance(number, int | float) and str(number) == text else text


NO_JOBS = {
    "a workflow run": (to_json({"WorkflowExecution": workflow_run(State="Running", RunId="irun")}), "irun"),
    "a run by its task": (to_json(event({"Workflow": {"RunId": "irun"}, "State": "Running"})), "irun"),
    "a review": (
        to_json({"code": "0", "data": {"event": "ReviewText", "trace_id": "st1", "url": "https://e.com/a"}}),
        "st1",
    ),
    "a review in detail": (to_json({"EventName": "ReviewImage", "JobsDetail": {"JobId": "si1"}}), "si1"),
    "an id that CI cannot have": (to_json(event(voice_separate(JobId="a,b"))), "a,b"),
}
"""Bodies that are kept as jobs, with their ids, and about which CI's job interface cannot be asked."""
