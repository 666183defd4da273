"""The product by a name of its own. Importing it checks that ``app``, ``server`` and ``workers`` are ours.

Those are general names. A file app.py where a process starts, or earlier on the path, hides our package, and Python
reports missing modules and attributes. Only the standard library is imported here.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings

_OURS = ("app", "server", "workers")
_HERE = Path(__file__).resolve().parents[1]


class Hidden(ImportError):
    """Python finds another module under the name of one of our packages."""


def create_app(settings: Settings | None = None) -> Flask:
    """As ``app.create_app``: for ``flask --app ci_callback_receiver`` and other servers."""
    import app  # noqa: PLC0415 - not before the check below

    return app.create_app(settings)


def check() -> None:
    """Raises ``Hidden``, which says which module is found instead of ours, and what to do."""
    for name in _OURS:
        found = _found(name)
        if found != str(_HERE / name):
            raise Hidden(_message(name, found))


def _found(name: str) -> str:
    """The folder of a package, or the file of a module, that Python imports, or has imported, under this name."""
    if module := sys.modules.get(name):
        origin = getattr(module, "__file__", None)
    else:
        spec = find_spec(name)
        origin = spec.origin if spec else None
    if origin is None:
        return "nothing"
    path = Path(origin).resolve()
    return str(path.parent if path.name == "__init__.py" else path)


def _message(name: str, found: str) -> str:
    return (
        f"There is a second package called {name!r} in front of ours: Python finds {found}, not {_HERE / name}. "
        "Rename yours, or start in another folder and with a PYTHONPATH without it. To use both in one "
        "program, run this service in an environment of its own and call it with the client (client/README.md)."
    )


check()
