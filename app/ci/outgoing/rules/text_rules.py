"""Rules of form: characters that XML can hold, names of nodes, lengths."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.ci.outgoing.request import SubmitRequest
from app.ci.outgoing.rules.broken import RuleFindings

LENGTHS = {"tag": 128, "template_id": 128, "queue_id": 128, "callback": 2048}
"""Limits of ours, in characters: CI publishes none, and its ids have 33."""

# Outside XML 1.0's Char production; halves of surrogate pairs are among them.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


def text_rules(request: SubmitRequest) -> RuleFindings:
    """Every text of the request: characters that XML cannot hold, and ids that are too long."""
    for path, text in _leaves("", request.model_dump(exclude={"allow"}, exclude_none=True)):
        if _NOT_XML.search(text):
            yield (
                path,
                "xml_char",
                "holds a character that XML cannot, a control character for example",
            )
        limit = LENGTHS.get(path.rpartition(".")[2])
        if limit and len(text) > limit and not path.startswith("labels."):
            yield path, "length", f"has at most {limit} characters"


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _leaves(f"{path}.{name[:100]}" if path else name[:100], child)
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _leaves(f"{path}.{index}", child)


def raw_rules(path: str, value: Any) -> RuleFindings:
    """A raw node must have a form in XML: named children, repeated ones as a list, text."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            if not _NODE_NAME.match(name):
                yield path, "raw", "has a name that cannot be an XML node: letters, digits, _ . - only"
            yield from raw_rules(f"{path}.{name[:100]}", child)
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            if isinstance(child, list | tuple):
                yield f"{path}.{index}", "raw", "a list inside a list has no form in XML"
            else:
                yield from raw_rules(f"{path}.{index}", child)
