"""The page of licences: what each library of the image, and of the extra one with traces, says of itself."""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

_ROOT = Path(__file__).parents[1]
LOCK, TRACES_LOCK = _ROOT / "requirements.txt", _ROOT / "requirements-traces.txt"
TRACES = Path(sys.prefix) / "traces"
"""Where `make traces-libraries` installs them: apart from the environment, so that no process imports them unasked."""

_PAGE = """# Licences

Made of the lock file and the libraries' own metadata by `make docs`: what runs in the image, with its dependencies.
What only some versions of Python or some systems need is left out.

| library | licence |
| --- | --- |
{rows}

With `TRACES=yes` the image has these besides (`requirements-traces.txt`):

| library | licence |
| --- | --- |
{traces}
"""


def locked(lock: Path = LOCK) -> list[str]:
    """The names in a lock file that every installation on Linux has."""
    lines = re.findall(r"^([a-z0-9-]+)==\S+( ;.*)?", lock.read_text(), re.MULTILINE)
    return [name for name, marker in lines if not re.search("python_(full_)?version|sys_platform", marker)]


def licence_of(name: str, *folders: Path) -> str:
    """As the library says it: the expression, else the classifier, else one line of text. It is searched for in
    ``folders``, by default in the environment.

    Raises PackageNotFoundError where it is not installed, and ValueError where it says nothing."""
    found = _distribution(name, *folders).metadata.json
    if expression := found.get("license_expression"):
        return str(expression)
    classified = [each for each in found.get("classifier", []) if each.startswith("License ::")]
    if said := ", ".join(each.rpartition(" :: ")[2] for each in classified) or found.get("license"):
        return str(said).splitlines()[0]
    raise ValueError(f"{name} names no licence: look it up, and say here how it is read")


def licences_page() -> str:
    """``docs/licences.md``."""
    more = [name for name in locked(TRACES_LOCK) if name not in locked()]
    return _PAGE.format(
        rows="\n".join(f"| `{name}` | {licence_of(name)} |" for name in locked()),
        traces="\n".join(f"| `{name}` | {licence_of(name, TRACES)} |" for name in more),
    )


def _distribution(name: str, *folders: Path) -> Distribution:
    if not folders:
        return Distribution.from_name(name)
    found = Distribution.discover(name=name, path=[str(folder) for folder in folders])
    for each in found:
        return each
    raise PackageNotFoundError(name)
