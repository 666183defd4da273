"""Start and stop of a web process.

The hooks of gunicorn.conf.py call these; nothing else starts or stops a thread of the web service. Their argument is
the WSGI application that is served: the service, or one that the service is mounted in (docs/mounting.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask

from app.metrics import counted
from app.web.services import WebServices, attached


class NotMounted(LookupError):
    """The service cannot be found in a WSGI application."""


def started(app: Any) -> None:
    """After the fork: threads do not survive one. Raises ``NotMounted``."""
    counted.PROCESSES.set(1)
    for services in _served(app):
        services.reporter.start()
        if services.drainer:
            services.drainer.start()


def stopping(app: Any) -> None:
    """Answer clients that wait for a job now; requests that have begun are finished."""
    for services in _served(app):
        services.tail.close()


def stopped(app: Any) -> None:
    """Hand over the spool file of this process to the others."""
    for services in _served(app):
        services.reporter.stop()
        if services.drainer:
            services.drainer.stop()


def _served(app: Any) -> tuple[WebServices, ...]:
    if not (found := tuple(_mounted(app))):
        raise NotMounted(
            "The service was not found in this WSGI application. Call app.web.lifecycle.started(create_app()'s result) "
            "yourself after the fork, and .stopped at the end (docs/mounting.md)."
        )
    return found


def _mounted(app: Any) -> Iterator[WebServices]:
    """The services of the application itself, or of each application to which werkzeug's middlewares (``app``,
    ``mounts``) or a Flask application (``wsgi_app``) pass requests."""
    if isinstance(app, Flask) and (services := attached(app)):
        yield services
        return
    inner = [getattr(app, name, None) for name in ("wsgi_app", "app")]
    for each in (*inner, *getattr(app, "mounts", {}).values()):
        if each is not None:
            yield from _mounted(each)
