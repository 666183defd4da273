"""Logs that may be shown to anyone: one line each, and no secret in them."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal

from app.core.logs.origin import Origin, origin_of
from ci_callback_receiver.secret_text import without_secrets

access = logging.getLogger("access")

LogFormat = Literal["text", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

LOG_FIELDS: Final = (
    *("request_id", "trace_id", "method", "route", "status", "ms", "token", "reason", "refusal"),
    *("job_id", "event_id", "job_ids", "event_ids", "outcomes", "handler", "endpoint", "try", "result"),
)
"""What a line may say besides its message: a name each, the same in every process (docs/logs.md)."""
_IN_MESSAGE = frozenset({"method", "route", "status", "ms"})
"""Fields of the access log that its message holds too: text shows them once."""

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - it is never changed
_traceparent: ContextVar[str] = ContextVar("traceparent", default="")


def begin_about(origin: Origin | None) -> None:
    """Every line of this thread or greenlet names this request, until the next call; so do the events that it makes.
    What serves requests begins each with its own."""
    _about.set({"request_id": origin.request_id} if origin else {})
    _traceparent.set(origin.traceparent if origin else "")


@contextmanager
def about(**fields: str | None) -> Iterator[None]:
    """Every line of the block has these fields; those that are empty are left out."""
    before = _about.set({**_about.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _about.reset(before)


def origin_here() -> Origin:
    """The request that this thread or greenlet is about; one of its own for what no request began: the relay asks CI,
    say, or a person gives a command."""
    return origin_of(_about.get().get("request_id"), _traceparent.get())


MESSAGE_MAX = 8192
"""Characters of a message; its beginning says what happened."""


def plain(text: str) -> str:
    """A stranger's text on one line: what could move a cursor, or look like another line, is spelled out."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _fingerprint(token: str) -> str:
    # Imported with the first token: help and lists of commands meet none.
    from app.core.tokens import fingerprint

    return fingerprint(token)


def redact(text: str) -> str:
    """Callback tokens become fingerprints, keys and signatures disappear."""
    return without_secrets(text, _fingerprint)


class Redact(logging.Filter):
    """Keeps secrets, and whatever would not stay on its line, out of what anyone chooses to say."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == access.name:
            return True  # Made of words of ours alone, see app/web/access_log.py, and one for each request.
        given = record.__dict__
        for name in given.keys() - _USUAL:
            # What a handler of a user's gave as `extra`.
            if isinstance(given[name], str):
                given[name] = plain(redact(given[name]))
        for name, value in _about.get().items():
            given.setdefault(name, value)
        message = record.getMessage()
        clean = redact(message)
        clean = plain(clean if len(clean) <= MESSAGE_MAX else clean[:MESSAGE_MAX] + "…")
        if clean != message:
            record.msg, record.args = clean, ()
        return True


_USUAL = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime", *LOG_FIELDS}
)
REDACT = Redact()
# The process that runs us may give these handlers of their own: werkzeug's logs whole request lines.
_TALKATIVE = ("werkzeug", "gunicorn.error", "gunicorn.access", "urllib3.connectionpool")


class _Lines(logging.Formatter):
    """For people: the message, then its fields. A traceback is redacted as any text is. It keeps its line ends, and
    is indented: an exception's own text may have line ends too, and no line of it can pass for one of ours."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        given = record.__dict__
        fields = [f" {name}={_as_word(given[name])}" for name in LOG_FIELDS if name in given]
        if record.name == access.name:
            fields = [each for each in fields if each[1 : each.index("=")] not in _IN_MESSAGE]
        return super().formatMessage(record) + "".join(fields)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join("  " + plain(line) for line in redact(text).split("\n"))


def _as_word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def configure(process: str, form: LogFormat | None = None, level: LogLevel | None = None) -> None:
    """Log to standard error: text on a terminal, else JSON, one object a line.

    Settings are not read yet when a process begins to log: until then the environment's LOG_FORMAT and LOG_LEVEL count.
    """
    # Our lines name none of these, and looking them up takes a third of the time of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    form = form or _given("LOG_FORMAT", "text", "json") or ("text" if sys.stderr.isatty() else "json")
    level = level or _given("LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR") or "INFO"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_text(process) if form == "text" else _json(process))
    handler.addFilter(REDACT)
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _given(name: str, *known: Any) -> Any:
    """A wrong value is named by the settings, a moment later."""
    value = os.environ.get(name, "")
    return next((each for each in known if each == value), None)


def _text(process: str) -> logging.Formatter:
    formatter = _Lines(
        f"%(asctime)s.%(msecs)03dZ {process} %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    return formatter


def _json(process: str) -> logging.Formatter:
    # Imported only where it is used.
    from app.core.logs.json_lines import JsonLines

    return JsonLines(process, _indented)


def redact_libraries() -> None:
    """Also what libraries log under names of their own."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(REDACT)
