"""The application as a server runs it, within the test's own process."""

from __future__ import annotations

from flask import Flask

from app import create_app
from app.settings import Settings
from app.web import lifecycle


def serving(settings: Settings) -> Flask:
    """An application whose drainer runs; the test stops it with ``lifecycle.stopped``."""
    app = create_app(settings)
    lifecycle.started(app)
    return app
