"""The page of licences: what each library of the image says of itself."""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.txt"

_PAGE = """# Licences

Made of the lock file and the libraries' own metadata by `make docs`: what runs in the image, with its dependencies.
What only some versions of Python or some systems need is left out.

| library | licence |
| --- | --- |
{rows}
"""


def locked() -> list[str]:
    """The names in requirements.txt that every installation on Linux has."""
    lines = re.findall(r"^([a-z0-9-]+)==\S+( ;.*)?", LOCK.read_text(), re.MULTILINE)
    return [name for name, marker in lines if not re.search("python_(full_)?version|sys_platform", marker)]


def licence_of(name: str) -> str:
    """As the library says it: the expression, else the classifier, else one line of text.

    Raises PackageNotFoundError where it is not installed, and ValueError where it says nothing."""
    found = metadata(name).json
    if expression := found.get("license_expression"):
        return str(expression)
    classified = [each for each in found.get("classifier", []) if each.startswith("License ::")]
    if said := ", ".join(each.rpartition(" :: ")[2] for each in classified) or found.get("license"):
        return str(said).splitlines()[0]
    raise ValueError(f"{name} names no licence: look it up, and say here how it is read")


def licences_page() -> str:
    """``docs/licences.md``."""
    rows = "\n".join(f"| `{name}` | {licence_of(name)} |" for name in locked())
    return _PAGE.format(rows=rows)
