"""Logs that may be shown to anyone: one line each, and no secret in them."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Any

from app.core.tokens import fingerprint

_TOKEN = re.compile(r"(/callbacks/)([^\s/?\"'<>]+)")
# Wherever one turns up: what itsdangerous makes of a payload, and 43 letters of signature. It begins where a run of
# these letters begins, and gives none back: a stranger's 100,000 letters are read once and not from each of them.
_BARE_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])\.?[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
_BEARER = re.compile(r"(?i)(bearer\s+|q-signature=)[^\s&\"']+")

access = logging.getLogger("access")

MESSAGE_MAX = 8192
"""Characters of a message; its beginning says what happened."""


def plain(text: str) -> str:
    """A stranger's text on one line: what could move a cursor, or look like another line, is spelled out."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def redact(text: str) -> str:
    """Callback tokens become fingerprints, keys and signatures disappear."""
    text = _TOKEN.sub(lambda found: f"{found[1]}[{fingerprint(found[2])}]", text)
    text = _BARE_TOKEN.sub(lambda found: f"[{fingerprint(found[0])}]", text)
    return _BEARER.sub(r"\1[redacted]", text)


class Redact(logging.Filter):
    """Keeps secrets, and whatever would not stay on its line, out of what anyone chooses to say."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == access.name:
            return True  # Made of words of ours alone, see app/web/access_log.py, and one for each request.
        message = record.getMessage()
        clean = redact(message)
        clean = plain(clean if len(clean) <= MESSAGE_MAX else clean[:MESSAGE_MAX] + "…")
        if clean != message:
            record.msg, record.args = clean, ()
        return True


REDACT = Redact()
# The process that runs us may give these handlers of their own: werkzeug's logs whole request lines.
_TALKATIVE = ("werkzeug", "gunicorn.error", "gunicorn.access", "urllib3.connectionpool")


class _Lines(logging.Formatter):
    """A traceback is redacted like any other text. It keeps its line ends, and is indented: an exception's own text
    may have line ends too, and no line of it can pass for one of ours."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join("  " + plain(line) for line in redact(text).split("\n"))


def configure(process: str) -> None:
    """Log to standard error: time, process, level, logger, message."""
    # Our lines name none of these, and looking them up takes a third of the time of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    formatter = _Lines(
        f"%(asctime)s.%(msecs)03dZ {process} %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(REDACT)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def redact_libraries() -> None:
    """Also what libraries log under names of their own."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(REDACT)
