"""Faults in the declaration of a handler, found when it is imported and not when its first event arrives."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import AsyncGeneratorType, GeneratorType

from app.ci.report import STATES
from app.core.event_kinds import unknown_subjects

_LAZY = (
    (inspect.iscoroutinefunction, "is an `async def`; write a plain `def`, with asyncio.run(…) in it"),
    (inspect.isgeneratorfunction, "is a generator: it holds a `yield`; write a plain `def` without one"),
    (inspect.isasyncgenfunction, "is an async generator; write a plain `def`"),
)


def faults(
    function: Callable[..., object], tags: Iterable[str], states: Iterable[str], on: Iterable[str]
) -> Iterator[str]:
    """Each fault as a clause whose subject is the handler, such as ``has an empty tag``; nothing for a sound one."""
    for is_lazy, why in _LAZY:
        if is_lazy(function):
            yield f"{why}: calling this one would run nothing"
    if not _takes_event_and_job(function):
        yield f"is called with two arguments, event and job, and does not take them: {_signature(function)}"
    if "" in tags:
        yield "has an empty tag, which no event has; leave it out for any"
    for word in sorted(set(states) - STATES):
        yield f"has state={word!r}, which no event has; CI's words are {', '.join(sorted(STATES))}"
    if not on:
        yield "has an empty on=; leave it out for news"
    for fault in unknown_subjects(on):
        yield f"has on={fault}"


def returned_unawaited(answer: object) -> bool:
    """Whether a handler returned a coroutine or generator that was never run, so that it has done nothing.

    ``faults`` finds those that are declared so; this finds a plain function that returns one.
    """
    lazy = isinstance(answer, Awaitable | GeneratorType | AsyncGeneratorType)
    if inspect.iscoroutine(answer):
        answer.close()
    return lazy


def _takes_event_and_job(function: Callable[..., object]) -> bool:
    try:
        # The outermost function is called, whatever signature a decorator copied from the inner one.
        inspect.signature(function, follow_wrapped=False).bind("event", "job")
    except TypeError:
        return False
    except ValueError:
        # Some functions written in C have no signature.
        return True
    return True


def _signature(function: Callable[..., object]) -> str:
    return str(inspect.signature(function, follow_wrapped=False))
