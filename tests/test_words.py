"""One name for one thing, and the plain English of the field, in code, messages and docs."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import ROOT

# The emulator shares nothing with the product on purpose, so its names are compared among themselves.
PROGRAMS = (
    ("app", "workers", "server", "harness", "stack", "chaos"),
    # Its names are those of the service's documents, for people who have only the client.
    ("client",),
    ("examples",),
    ("emulator",),
    ("bench",),
)

SAME_MEANING = {
    "main": "the entry point of a command",
    "init_app": "Flask's convention: attach this module to the application",
    "blueprint": "Flask's convention: the routes of this module",
    "group": "click's convention: the commands of this module",
    "command": "click's convention: the only command of this module",
    "log": "the logger of this module",
    "app": "the name by which gunicorn, Flask and others find an application",
    "step": "what the relay's loop calls in each of its parts",
    "ROOT": "the folder of the checkout, for the product and for what tests it",
    "Downstream": "an endpoint for deliveries",
    "measure": "a section of the bench",
}
"""Names that several modules may define, and why."""

BANNED = (
    *(
        "in vain",
        "comes home",
        "come home",
        "came home",
        "is told",
        "are told",
        "was told",
        "were told",
        "be told",
    ),
    *(
        "told apart",
        "told of",
        "tells of",
        "tell of",
        "so many",
        "whoever",
        "at work",
        "what is silent",
        "for good",
    ),
    *(
        "by and by",
        "came to pass",
        "comes to pass",
        "befall",
        "befalls",
        "said so",
        "dealt with",
        "without a word",
    ),
    *(
        "somebody",
        "nobody",
        "takes in",
        "take in",
        "took in",
        "taken in",
        "made anew",
        "makes anew",
        "make anew",
    ),
    *("there is nothing to", "on its way home", "heard enough", "mended"),
    *("told", "anew", "once more", "for ever", "for those who", "turned away", "ride along", "rides along"),
    *(
        "what became of",
        "what becomes of",
        "what came of",
        "came of it",
        "nobody's",
        "everybody",
        "the way of",
    ),
)
"""Phrases of the private English of the first version. The field's words are: in vain: without success;
told: reported; taken in: stored, accepted, drained; whoever, somebody: a caller, a client, an operator; for good:
permanently; mended: fixed; dealt with: processed; anew, once more: again; for ever: without end; what became of it,
what came of it: its outcome, result or status; turned away: refused; for those who watch: for metrics."""

NOT_YET: tuple[str, ...] = ()
"""Files and folders that are not revised yet; to be emptied."""

_TEXT = ("*.py", "*.lua", "*.md", "*.html", "*.js", "*.mjs", "*.yaml", "Makefile", "Procfile", "Dockerfile")
_PARTS = (
    *("app", "ci_callback_receiver", "workers", "server", "emulator", "harness", "stack", "chaos", "bench"),
    *("fuzz", "docs", "client", "examples", "tests"),
)


def files() -> Iterator[Path]:
    """Every file of the repository with text for people, without this one, which quotes the phrases."""
    for pattern in _TEXT:
        yield from ROOT.glob(pattern)
        for part in _PARTS:
            yield from (path for path in (ROOT / part).rglob(pattern) if path != Path(__file__))


def is_revised(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] not in NOT_YET


REVISED = sorted({str(path.relative_to(ROOT)) for path in files() if is_revised(path)})
_BANNED = re.compile(rf"\b(?:{'|'.join(phrase.replace(' ', r'[ ]') for phrase in BANNED)})\b", re.IGNORECASE)


def text_of(path: Path) -> str:
    """The text without line breaks, and without Python's operator `is None`."""
    text = re.sub(r"\s*\n[#\s]*", " ", path.read_text())
    return text.replace("is None", "")


@pytest.mark.parametrize("path", REVISED)
def test_no_phrase_of_the_private_english(path: str) -> None:
    """Names, comments, messages and docs use the words of docs/architecture.md and of the field."""
    found = {match[0] for match in _BANNED.finditer(text_of(ROOT / path))}
    assert not found, f"{path}: write it in plain English: {sorted(found)}"


def test_no_test_is_named_in_the_private_english() -> None:
    """A test's name is a sentence of the specification, in the same words."""
    tests = (line for path in (ROOT / "tests").rglob("test_*.py") for line in path.read_text().splitlines())
    named = (found[1] for line in tests if (found := re.match(r"\s*def (test_\w+)", line)))
    assert not [name for name in named if _BANNED.search(name.replace("_", " "))]


def public_names(path: Path) -> Iterator[str]:
    """The public classes, functions and constants of a module.

    Routes and commands are left out, since their framework finds them by a decorator, and so are type variables.
    """
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.FunctionDef(name=name, decorator_list=decorators):
                if not any(isinstance(each, ast.Call) for each in decorators):
                    yield name
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                made_by = (
                    value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
                )
                if made_by not in {"TypeVar", "ParamSpec"}:
                    yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def defined_twice(folders: tuple[str, ...]) -> dict[str, list[str]]:
    """Public names with the modules that define them, where there is more than one."""
    modules: dict[str, set[str]] = defaultdict(set)
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "gunicorn.conf.py":
                for name in public_names(path):
                    modules[name].add(str(path.relative_to(ROOT)))
    return {
        name: sorted(paths)
        for name, paths in modules.items()
        if not name.startswith("_") and name not in SAME_MEANING and len(paths) > 1
    }


@pytest.mark.parametrize("folders", PROGRAMS, ids="+".join)
def test_a_public_name_is_defined_once(folders: tuple[str, ...]) -> None:
    """One name has one meaning, so that a search for it finds one definition."""
    found = defined_twice(folders)
    assert not found, "\n".join(f"{name}: {', '.join(paths)}" for name, paths in found.items())
