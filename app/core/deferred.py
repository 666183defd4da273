"""A package that another one imports without need is executed when something of it is used, and else never."""

from __future__ import annotations

import sys
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


def defer(package: str) -> None:
    """``package`` is named ``parent.name``. Call it before ``parent`` is imported; this does not import it."""
    parent = PathFinder.find_spec(package.rpartition(".")[0])
    if package in sys.modules or parent is None:
        return
    spec: ModuleSpec | None = PathFinder.find_spec(package, parent.submodule_search_locations)
    if spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[package] = module
