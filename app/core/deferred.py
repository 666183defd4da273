"""A short start: packages are executed when they are first used, and imports run without garbage collection."""

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
    """Has only a path, so that submodules can be imported. Access to any other name executes the package."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        if self.__spec__ and self.__spec__.loader:
            self.__spec__.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection in the block: imports make no garbage, and the search is a tenth of a command's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def defer(package: str) -> None:
    """Execute ``package``, a name of the form ``parent.name``, when something of it is first used. Call this before
    ``parent`` is imported; it does not import ``parent``."""
    parent = PathFinder.find_spec(package.rpartition(".")[0])
    if package in sys.modules or parent is None:
        return
    spec: ModuleSpec | None = PathFinder.find_spec(package, parent.submodule_search_locations)
    if spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[package] = module
