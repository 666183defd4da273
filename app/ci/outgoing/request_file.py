"""A finished XML request, for `flask submit raw`: parsed for our record, and sent unchanged except for CallBack."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.parsers import expat

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from app.ci.outgoing.request import DEPTH_MAX, MqConfig, SubmitRequest, load_request
from app.ci.outgoing.request_xml import leaf
from app.ci.outgoing.rules.broken import BadRequest, BrokenRule

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_REQUEST_NODES = {
    "QueueId": "queue_id",
    "CallBack": "callback",
    "CallBackFormat": "callback_format",
    "CallBackType": "callback_type",
}


def read_xml(xml: bytes, allow: Iterable[str] = (), beside: Mapping[str, Any] = _NOTHING) -> SubmitRequest:
    """Parse `xml`, so that it can be checked and recorded; each Operation stays raw.

    `allow`: words of rules to let through; `beside`: fields that CI does not get. The file has a place for neither.

    Raises `BadRequest` unless it is a well-formed `<Request>` in UTF-8. Unknown children of Request are left out of the
    result, and sent nevertheless, as part of the bytes.
    """
    root = _root(xml)
    operations = [_entry(root, node) for node in root.findall("Operation")] or [{"tag": _tag(root)}]
    data: dict[str, Any] = {
        "input": {"object": root.findtext("Input/Object"), "url": root.findtext("Input/Url")},
        "allow": tuple(allow),
        **beside,
    }
    for theirs, ours in _REQUEST_NODES.items():
        data[ours] = (root.findtext(theirs) or "").strip() or None
    queue = root.find("CallBackMqConfig")
    if queue is not None:
        data["callback_mq_config"] = {f"mq_{n}": queue.findtext(f"Mq{n.title()}") for n in _MQ}
    return load_request(data | (operations[0] if len(operations) == 1 else {"operations": operations}))


_MQ = tuple(name.removeprefix("mq_") for name in MqConfig.model_fields)


def with_callback(xml: bytes, callback: str | None, callback_format: str | None = None) -> bytes:
    """The same bytes with the Request's own CallBack, and CallBackFormat, set; None leaves what is there.

    Every other byte is kept: spaces, comments, order. Raises BadRequest as `read_xml` does.
    """
    _root(xml)
    for name, text in (("CallBack", callback), ("CallBackFormat", callback_format)):
        if text is not None:
            xml = _set(xml, name, text)
    return xml


def _set(xml: bytes, name: str, text: str) -> bytes:
    found = _Places(name)
    found.read(xml)
    node = leaf(name, text).encode()
    for start, end in reversed(found.spans[1:]):  # a repeated node would leave CI the choice
        xml = xml[:start] + xml[end:]
    if found.spans:
        start, end = found.spans[0]
        return xml[:start] + node + xml[end:]
    return xml[: found.close] + node + b"\n" + xml[found.close :]


class _Places:
    """Byte offsets of the Request's direct children of one name, and of its end tag."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spans: list[tuple[int, int]] = []
        self.close = 0
        self._depth = 0
        self._start = 0

    def read(self, xml: bytes) -> None:
        self._xml = xml
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        self._parser.Parse(xml, True)

    def _opened(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 2 and name == self.name:
            self._start = self._parser.CurrentByteIndex

    def _closed(self, name: str) -> None:
        at = self._parser.CurrentByteIndex
        if self._depth == 2 and name == self.name:
            # At an end tag expat's position is its `<`; for `<CallBack/>` it is already after the node.
            tag = b"</" + name.encode()
            end = self._xml.index(b">", at) + 1 if self._xml.startswith(tag, at) else at
            self.spans.append((self._start, end))
        elif self._depth == 1:
            self.close = at
        self._depth -= 1


def _root(xml: bytes) -> Element:
    try:
        xml.decode("utf-8")
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise _bad(f"is not well-formed XML in UTF-8 without a DTD ({type(error).__name__})") from None
    if root.tag != "Request":
        raise _bad(f"begins with <{str(root.tag)[:100]}>; CI takes <Request>")
    if not len(root):
        raise _bad("has nothing in <Request>")
    return root


def _bad(rule: str) -> BadRequest:
    return BadRequest([BrokenRule(field="xml", rule=f"the XML {rule}", word="xml")])


def _tag(root: Element, node: Element | None = None) -> str:
    own = None if node is None else node.findtext("Tag")
    return (own or root.findtext("Tag") or "").strip()


def _entry(root: Element, node: Element) -> dict[str, Any]:
    raw = _json(node) if len(node) else {}
    return {"tag": _tag(root, node), "operation": {k: v for k, v in raw.items() if k != "Tag"}}


def _json(node: Element, depth: int = 0) -> Any:
    """The node as JSON: children by name, a list where a name repeats, text unchanged."""
    if depth > DEPTH_MAX:
        raise _bad(f"is nested more than {DEPTH_MAX} deep")
    if not len(node):
        return node.text or ""
    children: dict[str, Any] = {}
    for child in node:
        value = _json(child, depth + 1)
        if child.tag in children:
            before = children[child.tag]
            children[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            children[child.tag] = value
    return children
