"""What keeps a declared handler from ever working, told when it is declared and not by its first event."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import AsyncGeneratorType, GeneratorType

from app.ci.report import STATES

_LAZY = (
    (inspect.iscoroutinefunction, "is an `async def`; write a plain `def`, with asyncio.run(…) in it"),
    (inspect.isgeneratorfunction, "is a generator: it holds a `yield`; write a plain `def` without one"),
    (inspect.isasyncgenfunction, "is an async generator; write a plain `def`"),
)


def faults(function: Callable[..., object], tags: Iterable[str], states: Iterable[str]) -> Iterator[str]:
    """Sentences without their subject, which is the handler; none for one that can work."""
    for is_lazy, why in _LAZY:
        if is_lazy(function):
            yield f"{why}: calling this one would run nothing"
    if not _takes_event_and_job(function):
        yield f"is called with two arguments, event and job, and does not take them: {_signature(function)}"
    if "" in tags:
        yield "has an empty tag, which no event has; leave it out for any"
    for word in sorted(set(states) - STATES):
        yield f"has state={word!r}, which no event has; CI's words are {', '.join(sorted(STATES))}"


def returned_unawaited(answer: object) -> bool:
    """Whether a handler that looks like any other has only made something that somebody else has to run."""
    lazy = isinstance(answer, Awaitable | GeneratorType | AsyncGeneratorType)
    if inspect.iscoroutine(answer):
        answer.close()
    return lazy


def _takes_event_and_job(function: Callable[..., object]) -> bool:
    try:
        # What is called is the outermost one, whatever a decorator says of the one inside.
        inspect.signature(function, follow_wrapped=False).bind("event", "job")
    except TypeError:
        return False
    except ValueError:
        # Some that are written in C do not tell.
        return True
    return True


def _signature(function: Callable[..., object]) -> str:
    return str(inspect.signature(function, follow_wrapped=False))
