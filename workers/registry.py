"""Handlers: how they are declared, imported and found by name."""

from __future__ import annotations

import importlib
import logging
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType

from msgspec import Struct

from app.ci.tags import doubtful
from app.core.backoff import delay
from app.core.event_kinds import NEWS, subject_of
from app.settings import SettingsError
from app.settings.lanes import DEFAULT_LANE, is_lane_name
from app.store import Event
from workers import declaration
from workers.outputs import ReadableJob

log = logging.getLogger(__name__)

_OWN = "workers.handlers"
_ANSWERS = frozenset({"poll", "settle"})
"""Kinds of events in which CI, or a person who settled a doubt, has decided."""

Function = Callable[[Event, ReadableJob], None]


class Handler(Struct, frozen=True):
    """A function and the events that it runs for. Empty ``tags`` or ``states`` match any; times are seconds. ``on``
    selects events: ``news``, or kinds of trouble. ``queue`` is its lane.

    The first pause between tries is ``backoff``; each further one is twice as long, at most ``backoff_max``, jittered.
    """

    name: str
    function: Function
    tags: frozenset[str]
    states: frozenset[str]
    tries: int
    timeout: float
    backoff: float
    backoff_max: float
    on: frozenset[str] = frozenset({NEWS})
    queue: str = DEFAULT_LANE
    every_news: bool = False
    """True: it also runs for answers of CI that changed the record but not the state, which start no other handler."""

    def wants(self, event: Event) -> bool:
        return (
            self._is_for(event)
            and (not self.tags or event.tag in self.tags)
            and (not self.states or event.state in self.states)
        )

    def _is_for(self, event: Event) -> bool:
        if (subject := subject_of(event.kind)) not in self.on:
            return False
        # While a job is in doubt, callbacks start no handler at all: CI's answer does.
        return subject != NEWS or event.runs_handlers or (self.every_news and event.kind in _ANSWERS)

    def pause(self, tries: int) -> float:
        """Seconds to wait after that many tries."""
        return delay(tries, self.backoff, self.backoff_max)


class GiveUp(Exception):
    """Raised by a handler: no further try can help. The run is a failure at once."""


class Later(Exception):
    """Raised by a handler: try again in ``seconds``."""

    def __init__(self, seconds: float, why: str = "") -> None:
        super().__init__(why or f"in {seconds:g} s")
        self.seconds = seconds


_handlers: dict[str, Handler] = {}


def handler(
    *,
    tag: str | Iterable[str] | None = None,
    state: str | Iterable[str] | None = None,
    on: str | Iterable[str] = NEWS,
    name: str | None = None,
    tries: int = 8,
    timeout: float = 60,
    backoff: float = 2,
    backoff_max: float = 600,
    queue: str = DEFAULT_LANE,
) -> Callable[[Function], Function]:
    """Declare a handler. ``name`` identifies its runs; by default it is the module and the function. ``on`` selects
    events about trouble: ``overdue``, ``submission_failed``, ``run_failed``, ``doubt``; reports of CI are ``news``.
    ``queue`` names its lane, whose workers run nothing else: a slow handler holds up only its own lane.

    Raises ValueError for a name that is taken or holds a ``|``, for limits that allow no try, and for a function that
    would never be run: an ``async def``, one that yields or does not take an event and a job, or an unknown state.
    """

    def declare(function: Function) -> Function:
        known_as = name or f"{function.__module__}.{function.__qualname__}"
        if "|" in known_as or min(tries, timeout) <= 0 or min(backoff, backoff_max) < 0:
            raise ValueError(f"{known_as!r}: no | in a name; tries and timeout above 0; no negative backoff")
        if not is_lane_name(queue):
            raise ValueError(
                f"the handler {known_as!r} has queue={queue!r}, which is not a name of a lane: at most 32 lower-case "
                "letters, digits, - and _"
            )
        tags, states, subjects = _words(tag), _words(state), _words(on)
        if faults := tuple(declaration.faults(function, tags, states, subjects)):
            raise ValueError(f"the handler {known_as!r} {'; it '.join(faults)}")
        add(Handler(known_as, function, tags, states, tries, timeout, backoff, backoff_max, subjects, queue))
        return function

    return declare


def add(declared: Handler) -> None:
    """Register a handler. Raises ValueError if another function has its name."""
    already = _handlers.get(declared.name)
    if already and already.function.__code__ is not declared.function.__code__:
        raise ValueError(f"two handlers are called {declared.name!r}; give one of them another name=")
    _handlers[declared.name] = declared


def _words(value: str | Iterable[str] | None) -> frozenset[str]:
    return frozenset((value,) if isinstance(value, str) else value or ())


def import_handlers(modules: Iterable[str]) -> None:
    """Import the modules of ``HANDLERS``. Raises ``SettingsError`` for one that cannot be imported or declares none."""
    chosen = tuple(modules)
    # Every module imports it for the decorator; the example handler in it counts only if HANDLERS names it.
    importlib.import_module(_OWN)
    for name in chosen:
        before = set(_handlers)
        module = _import(name)
        if not (set(_handlers) - before or _declares(module)):
            raise SettingsError(
                f"HANDLERS names {name!r}, which declares no handler: put @handler(…) of workers.handlers before one "
                "of its functions, or take the module out of HANDLERS"
            )
    if _OWN not in chosen:
        for name in [each.name for each in _handlers.values() if each.function.__module__ == _OWN]:
            del _handlers[name]


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        why = "".join(traceback.format_exception_only(error)).strip()
        frames = traceback.extract_tb(error.__traceback__)
        # The fault is in the user's module, not in this one.
        last = next((each for each in reversed(frames) if each.filename != __file__), frames[-1])
        raise SettingsError(
            f"HANDLERS names {name!r}, which cannot be imported: {why} ({last.filename}:{last.lineno})"
        ) from error


def _declares(module: ModuleType) -> bool:
    """Whether it declares or imports handlers. (They may be registered already, if another module imported it.)"""
    held = {id(value) for value in vars(module).values()}
    inside = f"{module.__name__}."
    return any(
        id(each.function) in held or f"{each.function.__module__}.".startswith(inside)
        for each in _handlers.values()
    )


def warn_of_doubtful_tags() -> None:
    """Log each tag that CI is not known to use: its handler would never run."""
    for each in _handlers.values():
        for tag in sorted(each.tags):
            if why := doubtful(tag):
                log.warning("the handler %s is for the tag %r, which %s", each.name, tag, why)


def lane_names() -> list[str]:
    """The lanes of all handlers, and first the default one."""
    named = {each.queue for each in _handlers.values()} - {DEFAULT_LANE}
    return [DEFAULT_LANE, *sorted(named)]


def lanes_by_handler() -> dict[str, str]:
    """The lanes of handlers that are not in the default one."""
    return {each.name: each.queue for each in _handlers.values() if each.queue != DEFAULT_LANE}


def lane_of_run(run_id: str) -> str:
    """The lane of its handler now; the default one if the handler is not declared."""
    declared = _handlers.get(run_id.split("|")[1])
    return declared.queue if declared else DEFAULT_LANE


def declared_handlers() -> list[Handler]:
    """All registered handlers, by name."""
    return [_handlers[name] for name in handler_names()]


def handler_names() -> list[str]:
    """The names of all registered handlers, sorted."""
    return sorted(_handlers)


def get(name: str) -> Handler | None:
    return _handlers.get(name)


def handlers_for(event: Event) -> list[Handler]:
    """The handlers that this event is for."""
    return [each for each in _handlers.values() if each.wants(event)]
