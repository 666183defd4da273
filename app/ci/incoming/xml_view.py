"""XML to the JSON view.

A small body of elements and text alone, such as CI's, is read into a tree by ``xml.etree`` in C. Any other goes through
``defusedxml.expatreader``, which refuses document types, and so entities and external subsets. Our handlers behind it
refuse too much structure during the parse, not after it, and any encoding but a few. Both ways make the same view;
every error message comes from the second.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.parsers.expat import XMLParserType
from xml.sax import SAXParseException
from xml.sax.xmlreader import InputSource

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from app.ci.incoming.characters import sanitized, sanitized_references
from app.ci.incoming.limits import BodyLimits, too_complex
from app.ci.incoming.refused import Refused, quoted

ENCODINGS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1"), "latin-1"),
}
"""The encodings that a document may declare. Python would look up any other name by importing a module of that name,
which a stranger chose, and would cache every unknown name."""


def xml_view(body: bytes, limits: BodyLimits) -> dict[str, Any]:
    """Read one XML document into ``{root: value}``.

    An empty node is ``""``, a leaf its text, repeated nodes a list, in document order. An attribute is ``"@name"``,
    text beside children ``"#text"``, a namespace prefix ``"#prefix"`` (so that ``<ci:State>`` is found as ``State``).
    Characters that XML cannot hold are U+FFFD.
    """
    if len(body) <= _SMALL and (root := _tree(body)) is not None:
        return {root.tag: _value_of(root, limits.depth, limits)}
    return view_by_handlers(body, limits)


_SMALL = 64 * 1024
"""Bytes: small enough that reading an invalid body twice costs little, and that no limit on nodes can be reached."""
_DECLARATION = re.compile(
    rb"""<\?xml\s+version=["']1\.0["']\s+encoding=["']utf-?8["']\s*\?>""", re.IGNORECASE
)
_MORE_THAN_ELEMENTS = re.compile(r"<[^<>]*[=:!?]")
"""A tag with an attribute or a prefix, a comment, a document type, a CDATA section, a processing instruction."""


def _tree(body: bytes) -> Element | None:
    """The root of a body of elements and text alone, which has no document type and no entities; else ``None``."""
    declared = _DECLARATION.match(body)
    text = sanitized_references(sanitized(body[declared.end() :] if declared else body))
    if _MORE_THAN_ELEMENTS.search(text):
        return None
    parser = XMLParser()  # noqa: S314 - see above
    try:
        parser.feed(text)
        return parser.close()
    except ParseError:
        return None


def _value_of(element: Element, left: int, limits: BodyLimits) -> Any:
    """``left`` levels may be nested here, this one included."""
    if not left:
        raise too_complex(limits)
    text = element.text or ""
    node: dict[str, Any] = {}
    for child in element:
        name, value = child.tag, _value_of(child, left - 1, limits)
        if name not in node:
            node[name] = value
        elif isinstance(node[name], list):
            node[name].append(value)
        else:
            node[name] = [node[name], value]
        if child.tail:
            text += child.tail
    if not text or text.isspace():
        return node or ""
    if not node:
        return text
    node["#text"] = text.strip()
    return node


def view_by_handlers(body: bytes, limits: BodyLimits) -> dict[str, Any]:
    """As ``xml_view``, for any XML."""
    reader = _Reader(limits)
    try:
        _feed(_Parser(reader), reader, body)
    except DefusedXmlException:
        raise Refused(
            "forbidden_xml", "Found a document type declaration; expected XML without DTD and entities"
        ) from None
    except SAXParseException as error:
        raise Refused(
            "malformed_xml",
            f"Expected well-formed XML, found: {error.getException()}; it begins {quoted(body)}",
        ) from None
    return reader.node


def _feed(parser: DefusedExpatParser, reader: "_Reader", body: bytes) -> None:
    declaration, mark, _ = body.partition(b"?>") if body.startswith(b"<?xml") else (b"", b"", b"")
    head = declaration + mark
    parser.feed(head, False)
    text = sanitized_references(sanitized(body[len(head) :], reader.encoding))
    # After a handler has raised, expat reads on to the end of its input, and would expand entities there. So a
    # document type declaration is fed only up to its name, where the parser refuses it.
    doctype = text.find("<!DOCTYPE")
    if doctype >= 0:
        ends = [end for mark in "[>" if (end := text.find(mark, doctype)) >= 0]
        after = min(ends, default=len(text)) + 1
        parser.feed(text[:after], False)
        text = text[after:]
    parser.feed(text, False)
    # Closing drops the handlers, which refer back to the parser: no cycle is left to the garbage collector.
    parser.close()


class _Parser(DefusedExpatParser):
    """The library's guard, with our handlers behind it instead of SAX's. Its input is UTF-8, whatever the document
    declares."""

    _source: InputSource
    _parser: XMLParserType

    def __init__(self, reader: "_Reader") -> None:
        super().__init__(forbid_dtd=True)
        self._reader = reader
        self._source.setEncoding("utf-8")

    def reset(self) -> None:
        super().reset()
        parser = self._parser
        parser.buffer_text = True
        parser.StartElementHandler = self._reader.start
        parser.EndElementHandler = self._reader.end
        parser.CharacterDataHandler = self._reader.texts.append
        parser.XmlDeclHandler = self._reader.declaration
        # SAX's other handlers would cost a call each, for nodes that we do not use.
        parser.ProcessingInstructionHandler = None
        parser.StartNamespaceDeclHandler = parser.EndNamespaceDeclHandler = None
        parser.SkippedEntityHandler = None


class _Reader:
    """expat's handlers. ``node`` is the document; ``texts`` has the text of all open elements, each one's own from
    where it began. ``start`` and ``end`` run once for each element, so they share local variables: as methods that
    look up attributes of ``self`` the whole reading takes a sixth longer (docs/performance.md)."""

    __slots__ = ("encoding", "end", "node", "start", "texts")

    def __init__(self, limits: BodyLimits) -> None:
        self.encoding = "utf-8"
        self.node: dict[str, Any] = {}
        self.texts: list[str] = []
        self.start, self.end = _element_handlers(limits, self.node, self.texts)

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        known = ENCODINGS.get((encoding or "utf-8").lower())
        if known is None:
            raise Refused("malformed_xml", f"Found XML declared as {quoted(encoding)}; expected UTF-8")
        self.encoding = known


def _element_handlers(
    limits: BodyLimits, node: dict[str, Any], texts: list[str]
) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
    """Handlers that fill ``node``, the content of the innermost open element, from ``texts``."""
    left = limits.nodes
    outer: list[tuple[str, dict[str, Any], int]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal left, node
        left -= 1 + len(attributes)
        if left < 0 or len(outer) >= limits.depth or len(attributes) > limits.attributes:
            raise too_complex(limits)
        inner: dict[str, Any] = {}
        if attributes:
            inner = {f"@{key}": value for key, value in attributes.items()}
        if ":" in name:
            name = _split(name, inner)
        outer.append((name, node, len(texts)))
        node = inner

    def end(_name: str) -> None:
        nonlocal node
        value: Any = node
        name, node, began = outer.pop()
        text = _taken(texts, began)
        if not text or text.isspace():
            value = value or ""
        elif value:
            value["#text"] = text.strip()
        else:
            value = text
        if name not in node:
            node[name] = value
        elif isinstance(node[name], list):
            node[name].append(value)
        else:
            node[name] = [node[name], value]

    return start, end


def _taken(texts: list[str], began: int) -> str:
    """The text from index ``began`` on, which is mostly one piece or none."""
    pieces = len(texts) - began
    if pieces == 1:
        return texts.pop()
    if not pieces:
        return ""
    text = "".join(texts[began:])
    del texts[began:]
    return text


def _split(name: str, node: dict[str, Any]) -> str:
    prefix, _, local = name.partition(":")
    if not prefix or not local:
        return name
    node["#prefix"] = prefix
    return local
