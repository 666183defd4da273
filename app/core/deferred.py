"""What makes a start short: packages that are executed only when they are used, and no search for garbage meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Has what the import system looks at: its path, so that submodules can be imported. Any other name executes it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        if self.__spec__ and self.__spec__.loader:
            self.__spec__.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def uncollected() -> Iterator[None]:
    """Imports make no garbage; looking for some among all that they make is a tenth of a command's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def defer(package: str) -> None:
    """Execute ``package``, which is named ``parent.name``, when something of it is used, if ever. Call it before
    ``parent`` is imported; this does not import it."""
    parent = PathFinder.find_spec(package.rpartition(".")[0])
    if package in sys.modules or parent is None:
        return
    spec: ModuleSpec | None = PathFinder.find_spec(package, parent.submodule_search_locations)
    if spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[package] = module
