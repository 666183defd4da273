"""``PUBLIC_URL`` may have a path. Some proxies strip it, some pass it on: both work."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware


def mount(app: Flask, public_url: str | None) -> None:
    """Serve everything under the path of ``public_url`` as well as under ``/``."""
    prefix = urlsplit(public_url or "").path.rstrip("/")
    if prefix:
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {prefix: app.wsgi_app})  # type: ignore[method-assign]
