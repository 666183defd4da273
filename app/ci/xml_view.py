"""XML to the JSON view: one pass of expat, no tree in between.

We drive expat ourselves instead of through defusedxml, which builds an ElementTree first, because it is safer
that way: too much structure is refused while it is read and not after, and no encoding is looked up among
Python's codecs. (It is only a little faster.) The rules are those of defusedxml with ``forbid_dtd=True`` and
stricter: no DTD at all, hence no entity, no external subset and no parameter entity.
``tests/ci/test_hostile_xml.py`` puts both side by side.
"""

from typing import Any
from xml.parsers import expat

from app.ci.limits import Limits, too_complex
from app.ci.refused import Refused, quoted

NATIVE_ENCODINGS = {"utf-8", "iso-8859-1", "us-ascii"}
"""What expat decodes itself. Any other name is looked up among Python's codecs, which imports a module by a
name that a stranger chose and remembers every unknown name for ever."""


def view(body: bytes, limits: Limits) -> dict[str, Any]:
    """Read one XML document into ``{root: value}``.

    An empty node is ``""``, a leaf its text, repeated nodes a list, in document order. What JSON has no place
    for is kept beside: an attribute as ``"@name"``, text beside children as ``"#text"``, a namespace prefix
    as ``"#prefix"`` (so that ``<ci:State>`` is still found as ``State``).
    """
    reader = _Reader(limits)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.texts.append
    parser.XmlDeclHandler = _declaration
    parser.StartDoctypeDeclHandler = _doctype
    try:
        _feed(parser, body)
    except expat.ExpatError as error:
        raise Refused(
            "malformed_xml", f"Expected well-formed XML, found: {error}; it begins {quoted(body)}"
        ) from None
    return reader.node


def _feed(parser: expat.XMLParserType, body: bytes) -> None:
    # After a handler has raised, expat still reads on to the end of what it was given, and would expand
    # entities there. So a document type declaration is fed up to its name, where the handler refuses it.
    doctype = body.find(b"<!DOCTYPE")
    if doctype >= 0:
        ends = [end for mark in (b"[", b">") if (end := body.find(mark, doctype)) >= 0]
        after = min(ends, default=len(body)) + 1
        parser.Parse(body[:after], False)
        body = body[after:]
    parser.Parse(body, True)


def _doctype(*_: object) -> None:
    raise Refused("forbidden_xml", "Found a document type declaration; expected XML without DTD and entities")


def _declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in NATIVE_ENCODINGS:
        raise Refused("malformed_xml", f"Found XML declared as {quoted(encoding)}; expected UTF-8")


class _Reader:
    """expat's handlers. ``node`` is the content of the innermost open element; ``texts`` has the text of all
    open elements, each one's own from where it began."""

    __slots__ = ("depth", "left", "limits", "node", "outer", "texts")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.depth = limits.depth
        self.left = limits.nodes
        self.outer: list[tuple[str, dict[str, Any], int]] = []
        self.node: dict[str, Any] = {}
        self.texts: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.left -= 1 + len(attributes)
        if self.left < 0 or len(self.outer) >= self.depth:
            raise too_complex(self.limits)
        node: dict[str, Any] = {}
        if attributes:
            node = {f"@{key}": value for key, value in attributes.items()}
        if ":" in name:
            name = _split(name, node)
        self.outer.append((name, self.node, len(self.texts)))
        self.node = node

    def end(self, _name: str) -> None:
        value: Any = self.node
        name, node, began = self.outer.pop()
        self.node = node
        text = "".join(self.texts[began:])
        del self.texts[began:]
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


def _split(name: str, node: dict[str, Any]) -> str:
    prefix, _, local = name.partition(":")
    if not prefix or not local:
        return name
    node["#prefix"] = prefix
    return local
