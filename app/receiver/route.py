"""POST /callbacks/<token> without Flask's contexts, which cost as much as reading a body (docs/performance.md).

The answer, its headers and its line in the access log are those of the Flask view, which still serves every other
spelling of this path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any

from flask import Flask

from app.receiver.views import answer_callback
from app.web.access_log import log_access
from app.web.headers import OF_DATA
from app.web.services import of

_PATH = "/callbacks/"
_ROUTE = "/callbacks/<anything:token>"
_STATUS = {status: f"{status} {words.upper()}" for status, words in responses.items()}

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application (PEP 3333)."""


def before(application: Application, app: Flask) -> Application:
    """Wrap ``application``: callbacks are answered here, everything else is passed on."""

    def route(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] != "POST" or not path.startswith(_PATH):
            return application(environ, start_response)
        started = time.perf_counter()
        token = path[len(_PATH) :].encode("latin-1").decode("utf-8", "replace")
        answer = answer_callback(of(app), environ, token)
        length = ("Content-Length", str(len(answer.text)))
        start_response(_STATUS[answer.status], [*answer.headers, length, *OF_DATA])
        log_access("POST", _ROUTE, answer.status, started, answer.log_fields)
        return [answer.text]

    return route
