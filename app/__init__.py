"""Takes the job callbacks of Tencent Cloud Infinite, loses none, and answers what became of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The web service. Raises ``SettingsError``, which names every fault, when a setting is missing or wrong."""
    # Imported here, so that emulator and others can be imported without the whole service.
    from flask import Flask

    from app import api, cli, pages, receiver
    from app.core import logs
    from app.redis.breaker import Breaker
    from app.settings import load
    from app.web import headers, problems
    from app.web.prefix import mount
    from app.web.services import WebServices, attach

    settings = settings or load()
    flask = Flask(__name__, static_folder=None)
    flask.json.sort_keys = False  # type: ignore[attr-defined]
    flask.config["MAX_CONTENT_LENGTH"] = settings.max_body
    attach(flask, WebServices.open(settings, timeout=settings.redis_timeout, breaker=Breaker()))
    logs.init_app(flask)
    headers.init_app(flask)
    problems.init_app(flask)
    receiver.init_app(flask)
    api.init_app(flask)
    pages.init_app(flask)
    cli.init_app(flask)
    mount(flask, settings.public_url)
    return flask
