"""The runbook as a page of the service itself: of the release that runs, and without internet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_SOURCE = Path(__file__).parent / "runbook.md"
_PAGE = """{{# Made of docs/runbook.md by `make docs`. #}}
{{% extends 'base.html' %}}
{{% block title %}}Runbook{{% endblock %}}
{{% block main %}}
<article class="runbook">
{{% raw %}}
{text}
{{% endraw %}}
</article>
{{% endblock %}}
"""


def anchor(heading: str) -> str:
    """As GitHub and the site make it."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def runbook_page() -> str:
    """A template of ``app/pages``."""
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = [each for each in markdown.parse(_SOURCE.read_text()) if each.type != "html_block"]
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(text.content))
    for each in tokens:
        _fit(each)
    text = markdown.renderer.render(tokens, markdown.options, {})
    # What scrolls is reached by keyboard.
    return _PAGE.format(text=text.replace("<pre>", '<pre tabindex="0">').strip())


def _fit(token: Token) -> None:
    if token.type == "table_open":
        token.attrSet("class", "reference")
    elif token.type == "th_open":
        token.attrSet("scope", "col")
    elif token.children:
        token.children = list(_without_links_elsewhere(token.children))


def _without_links_elsewhere(tokens: Sequence[Token]) -> Sequence[Token]:
    """A link to another page of the docs, which is not served, becomes its text and its path."""
    kept: list[Token] = []
    path = ""
    for each in tokens:
        href = str(each.attrGet("href") or "")
        if each.type == "link_open" and not href.startswith("#"):
            path = f"docs/{href.partition('#')[0]}"
        elif each.type == "link_close" and path:
            if path != f"docs/{kept[-1].content}":
                kept.append(Token("text", "", 0, content=" ("))
                kept.append(Token("code_inline", "code", 0, content=path))
                kept.append(Token("text", "", 0, content=")"))
            path = ""
        else:
            kept.append(each)
    return kept
