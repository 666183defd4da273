"""What a web process does when it begins to serve, when it is to stop, and when it has stopped.

The hooks of gunicorn.conf.py call these; nothing else starts or stops a thread of the web service.
"""

from __future__ import annotations

from flask import Flask

from app.web.services import of


def started(app: Flask) -> None:
    """After the fork: threads do not survive one."""
    if drainer := of(app).drainer:
        drainer.start()


def stopping(app: Flask) -> None:
    """Clients that wait for a job are answered now; requests that have begun are finished."""
    of(app).tail.close()


def stopped(app: Flask) -> None:
    """What this process has spooled is handed over to the others."""
    if drainer := of(app).drainer:
        drainer.stop()
