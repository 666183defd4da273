"""Reading and writing XML, as trees of dictionaries.

A node is its text, a dictionary of its children, or a list if its name is repeated. Order is kept. CI uses no
attributes, no namespaces and no mixed content.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # only to write; requests are parsed by defusedxml
from typing import TypeAlias

from defusedxml import ElementTree as SafeET
from defusedxml.common import DefusedXmlException

Node: TypeAlias = "str | Tree | list[Node]"
Tree: TypeAlias = dict[str, Node]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MAX_DEPTH = 20


class XmlError(ValueError):
    """The body is not XML, or not accepted by the emulator; the text says why."""


def from_xml(body: bytes, root: str) -> Tree:
    """The children of the document's root, which must be named `root`. Raises XmlError."""
    try:
        element = SafeET.fromstring(body, forbid_dtd=True)
    except DefusedXmlException as refusal:
        raise XmlError("a DTD or an entity is not allowed") from refusal
    except (ET.ParseError, ValueError, LookupError) as fault:
        raise XmlError(f"the body is not well-formed XML ({fault})") from fault
    if element.tag != root:
        raise XmlError(f"the root is <{str(element.tag)[:100]}>, not <{root}>")
    node = _node(element, 0)
    return node if isinstance(node, dict) else {}


def _node(element: ET.Element, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise XmlError(f"nested deeper than {MAX_DEPTH}")
    if len(element) == 0:
        return element.text or ""
    tree: Tree = {}
    for child in element:
        _add(tree, child.tag, _node(child, depth + 1))
    return tree


def _add(tree: Tree, name: str, node: Node) -> None:
    known = tree.get(name)
    if known is None:
        tree[name] = node
    elif isinstance(known, list):
        known.append(node)
    else:
        tree[name] = [known, node]


def to_xml(root: str, tree: Tree, *, declaration: bool = False) -> bytes:
    """The document: UTF-8, empty nodes as `<Message />`, characters that XML cannot hold left out."""
    element = ET.Element(root)
    _fill(element, tree)
    # A reader turns a bare carriage return into a line feed; a key may hold one.
    body: bytes = ET.tostring(element, encoding="utf-8").replace(b"\r", b"&#13;")
    return b"<?xml version='1.0' encoding='utf-8' ?>\n" + body if declaration else body


def _fill(parent: ET.Element, tree: Tree) -> None:
    for name, node in tree.items():
        for one in node if isinstance(node, list) else [node]:
            child = ET.SubElement(parent, name)
            if isinstance(one, dict):
                _fill(child, one)
            elif isinstance(one, str) and one:
                child.text = _NOT_XML.sub("", one)


def text(tree: Node | None, *path: str) -> str:
    """The text at a path of names; empty if it is absent, a container or repeated."""
    node: Node | None = tree
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, str) else ""


def child(tree: Node | None, name: str) -> Tree:
    """The container of that name; empty if it is absent."""
    node = tree.get(name) if isinstance(tree, dict) else None
    return node if isinstance(node, dict) else {}


def children(tree: Node | None, name: str) -> list[Node]:
    """All nodes of that name, as a list."""
    node = tree.get(name) if isinstance(tree, dict) else None
    if node is None:
        return []
    return node if isinstance(node, list) else [node]
