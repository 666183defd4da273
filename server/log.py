"""The master's own lines, in the form of all others: JSON where the workers' are, and no secret in them.

The master imports nothing of the application, so this is not ``app.core.logs``; workers log by that.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any

from dotenv import dotenv_values
from gunicorn.glogging import Logger

from ci_callback_receiver.secret_text import without_secrets


class MasterLog(Logger):  # type: ignore[misc]
    """gunicorn's ``logger_class``. ``LOG_FORMAT`` counts, as for every other process."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        given = dotenv_values(".env") | os.environ
        form = given.get("LOG_FORMAT") or ("text" if sys.stderr.isatty() else "json")
        lines = _JsonLines() if form == "json" else _TextLines(self.error_fmt, self.datefmt)
        for handler in self.error_log.handlers:
            handler.setFormatter(lines)


class _TextLines(logging.Formatter):
    """gunicorn's own form, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class _JsonLines(logging.Formatter):
    """The members of ``app.core.logs.json_lines``, in its order."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "process": "web",
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
