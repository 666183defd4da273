"""The web application: each request is checked, then routed to CI, COS or the control API.

CI's paths (/jobs, /queue, /template and the unsupported ones in surface.py), alone or with an id, are CI's on every
host: the Python SDK with a fixed address sends a COS host for CI calls too. /_emulator is the control API. All other
paths are objects, for example jobs/1/out.mp3.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import BaseConverter

from emulator import account
from emulator.ci.ci_jobs import jobs_blueprint
from emulator.ci.ci_queues import queues_blueprint
from emulator.ci.ci_templates import templates_blueprint
from emulator.control import control_blueprint
from emulator.cos.cos import MAX_OBJECT, OBJECT, cos_blueprint
from emulator.faults import Fault, endpoint_of
from emulator.http import access, surface
from emulator.http.errors import EmulatorError, error_xml
from emulator.http.web import PATH, path, query
from emulator.jobs import ids
from emulator.jobs.ids import PATTERN as ID_PATTERN

if TYPE_CHECKING:
    from emulator.state import Emulator

log = logging.getLogger(__name__)

CONTROL = "/_emulator"
_WITHOUT_HOST = re.compile(
    "^https?://[^/?]*", re.IGNORECASE
)  # a client that uses the emulator as its proxy sends an absolute URL
MAX_KEPT_BODY = 64 * 1024


class IdConverter(BaseConverter):
    """An id, or several with commas. No dot: that is an object's key."""

    regex = ID_PATTERN


def create_app(emulator: Emulator) -> Flask:
    app = Flask("emulator", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_OBJECT
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # COS answers OPTIONS with CORS, which is not emulated
    app.url_map.converters["id"] = IdConverter
    for make in (jobs_blueprint, queues_blueprint, templates_blueprint, cos_blueprint):
        app.register_blueprint(make(emulator))
    app.register_blueprint(control_blueprint(emulator), url_prefix=CONTROL)
    _gate(app, emulator)
    _errors(app, emulator)
    app.wsgi_app = _Wire(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _is_control(sent: str | None = None) -> bool:
    sent = sent or path()
    return sent == CONTROL or sent.startswith(CONTROL + "/")


def _is_ci() -> bool:
    return surface.is_ci(path()) or account.is_ci_host(request.host)


def _gate(app: Flask, emulator: Emulator) -> None:
    @app.before_request
    def enter() -> Response | None:
        g.request_id, g.trace_id, g.began, g.target = ids.request_id(), ids.request_id(), time.time(), None
        g.endpoint = "unknown"
        if _is_control():
            if request.blueprint != "control":  # else it would be an object's key
                raise NotFound
            return None
        g.target = account.target(request.host)
        g.endpoint = endpoint_of(request.method, path(), ci=_is_ci())
        fault = emulator.faults.for_request(g.target.bucket, g.endpoint)
        if fault is not None:
            _apply_fault(fault)
            if "emulator.drop" in request.environ and fault.kind != "lost_answer":
                return Response()
        access.check(request, emulator.options.token, ci=_is_ci())
        _check_supported()
        return None

    @app.after_request
    def leave(response: Response) -> Response:
        if _is_control():
            return response
        if _is_ci():
            response.headers["Server"] = "tencent-ci"
            response.headers["x-ci-request-id"] = g.request_id
        else:
            response.headers["Server"] = "tencent-cos"
            response.headers["x-cos-request-id"] = g.request_id
        _note(emulator, response)
        return response


def _check_supported() -> None:
    """Raise EmulatorError for what is not emulated: InvalidUrl for CI's paths, NotImplemented for COS."""
    if _is_ci() and request.blueprint in {None, "cos"}:
        supported = ", ".join(f"/{name}" for name in surface.CI_ENDPOINTS)
        raise EmulatorError("InvalidUrl", f"The emulator has no such CI endpoint; it has {supported}.")
    if request.endpoint is None:
        raise EmulatorError("NotImplemented", f"The emulator has no {request.method} of this kind.")
    surface.check_query(request.endpoint, query())
    if request.blueprint == "cos":
        surface.check_headers(request.headers.items())


def _apply_fault(fault: Fault) -> None:
    """Apply a request fault: raise its error, or mark the connection for `_Wire` to close."""
    if fault.kind == "error":
        code = fault.code or "InternalError"
        raise EmulatorError(code, fault.message or f"{code}, because of an injected fault.", fault.status)
    if fault.kind in {"slow", "hang"}:
        time.sleep(fault.wait)
    if fault.kind in {"hang", "drop", "lost_answer"}:
        request.environ["emulator.drop"] = True


def _note(emulator: Emulator, response: Response) -> None:
    """Write the log line and the entry for `GET /_emulator/requests`; `full` is shown on request only."""
    dropped = "emulator.drop" in request.environ
    status = 0 if dropped else response.status_code
    entry = {
        "at": g.began,
        "endpoint": g.endpoint,
        "method": request.method,
        "path": path(),
        "bucket": g.target.bucket if g.target else None,
        "status": status,
        "seconds": round(time.time() - g.began, 4),
        "full": _full() if _is_ci() else None,
    }
    emulator.requests.append(entry)
    shown = path().encode("unicode_escape").decode()[:200]
    log.info("%s %s %s %s", request.method, shown, g.endpoint, status or "dropped")


def _full() -> dict[str, Any]:
    """A CI call as it was received, for tests of its XML and signature."""
    small = (request.content_length or 0) <= MAX_KEPT_BODY
    return {
        "target": str(request.environ.get("REQUEST_URI", request.full_path)),
        "headers": [list(pair) for pair in request.headers.items()],
        "body": request.get_data().decode("utf-8", "replace") if small else None,
    }


def _errors(app: Flask, emulator: Emulator) -> None:
    def answered(error: EmulatorError) -> Response:
        edition = emulator.settings.error_edition
        resource = None if edition == "media" and _is_ci() else f"{request.host}{path()}"
        body = error_xml(error, resource, g.request_id, g.trace_id)
        prefix = "x-ci" if _is_ci() else "x-cos"
        headers = {f"{prefix}-trace-id": g.trace_id}
        return Response(body, status=error.status, headers=headers, content_type="application/xml")

    app.register_error_handler(EmulatorError, answered)

    @app.errorhandler(HTTPException)
    def routed(error: HTTPException) -> Response:
        if _is_control():
            return Response(
                f'{{"error": "{error.name}"}}\n', status=error.code, content_type="application/json"
            )
        if error.code == 413:
            code = "InvalidContent" if _is_ci() else "EntityTooLarge"
            return answered(EmulatorError(code, error.name, error.code))
        return answered(EmulatorError("InvalidArgument", error.description or error.name))

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return answered(EmulatorError("InternalError", "The emulator failed; see its log."))


class _Wire:
    """WSGI layer below Flask: keeps the path as it was sent, and closes connections for faults."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target = _WITHOUT_HOST.sub("", str(environ["REQUEST_URI"]))
        raw = unquote_to_bytes(target.partition("?")[0].encode("latin-1"))
        environ[PATH] = sent = raw.decode("utf-8", "replace") or "/"
        # Werkzeug's routing folds leading slashes and stops at line ends; a key may have both.
        is_object = sent != "/" and not surface.is_ci(sent) and not _is_control(sent)
        environ["PATH_INFO"] = OBJECT if is_object else raw.decode("latin-1")
        body = self._inner(environ, start_response)
        if "emulator.drop" in environ:
            connection: socket.socket = environ["werkzeug.socket"]
            connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("closed on purpose")
        return body
