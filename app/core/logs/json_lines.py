"""Log lines for machines: one JSON object each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from pythonjsonlogger.msgspec import MsgspecFormatter


class JsonLines(MsgspecFormatter):
    """``time`` (RFC 3339, UTC), ``level``, ``process``, ``logger``, ``message``, then the fields of the line; a
    traceback in ``exception``, made fit to be shown by ``tidied``."""

    def __init__(self, process: str, tidied: Callable[[str], str]) -> None:
        super().__init__(
            ["asctime", "levelname", "process", "name", "message"],
            rename_fields={
                "asctime": "time", "levelname": "level", "name": "logger", "exc_info": "exception",
                "stack_info": "stack",
            },
            static_fields={"process": process},
        )  # fmt: skip
        self._tidied = tidied
        self._second = 0
        self._prefix = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """As the text has it; a second's digits are made once."""
        second = int(record.created)
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._prefix}.{int(record.msecs):03d}Z"

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return self._tidied(logging.Formatter.formatException(self, ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return self._tidied(stack_info)
