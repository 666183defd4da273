"""The handlers that are known, by name."""

from __future__ import annotations

import importlib
import random
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.settings import SettingsError
from app.store import Event, Job

Function = Callable[[Event, Job], None]


@dataclass(frozen=True, slots=True)
class Handler:
    """A function and when it runs. Empty ``tags`` or ``states`` mean any; times are seconds.

    The n-th pause between tries is ``backoff`` doubled n times, at most ``backoff_max``, with jitter.
    """

    name: str
    function: Function
    tags: frozenset[str]
    states: frozenset[str]
    tries: int
    timeout: float
    backoff: float
    backoff_max: float

    def wants(self, event: Event) -> bool:
        return (not self.tags or event.tag in self.tags) and (not self.states or event.state in self.states)

    def pause(self, tries: int) -> float:
        """Seconds to wait after that many tries."""
        return min(self.backoff * 2.0 ** min(tries - 1, 30), self.backoff_max) * random.uniform(0.75, 1.25)  # noqa: S311


_handlers: dict[str, Handler] = {}


def handler(
    *,
    tag: str | Iterable[str] | None = None,
    state: str | Iterable[str] | None = None,
    name: str | None = None,
    tries: int = 8,
    timeout: float = 60,
    backoff: float = 2,
    backoff_max: float = 600,
) -> Callable[[Function], Function]:
    """Declare a handler. ``name`` identifies its runs; by default it is the module and the function."""

    def declare(function: Function) -> Function:
        known_as = name or f"{function.__module__}.{function.__qualname__}"
        declared = Handler(
            known_as, function, _words(tag), _words(state), tries, timeout, backoff, backoff_max
        )
        already = _handlers.get(known_as)
        if already and already.function.__code__ is not function.__code__:
            raise ValueError(f"two handlers are called {known_as!r}; give one of them another name=")
        _handlers[known_as] = declared
        return function

    return declare


def _words(value: str | Iterable[str] | None) -> frozenset[str]:
    return frozenset((value,) if isinstance(value, str) else value or ())


def load(modules: Iterable[str]) -> None:
    """Import the modules that hold handlers, or stop the start with one message that says which is broken and why."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            where = "".join(traceback.format_exception_only(error)).strip()
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise SettingsError(
                f"HANDLERS names {module!r}, which cannot be imported: {where} ({last.filename}:{last.lineno})"
            ) from error


def names() -> list[str]:
    """Of all handlers that are loaded."""
    return sorted(_handlers)


def get(name: str) -> Handler | None:
    return _handlers.get(name)


def wanting(event: Event) -> list[Handler]:
    """The handlers that this event is for."""
    return [each for each in _handlers.values() if each.wants(event)] if event.runs_handlers else []
