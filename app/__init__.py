"""Receives the job callbacks of Tencent Cloud Infinite, loses none, and answers look-ups of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.core.deferred import defer, uncollected

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings

# redis-py imports its asyncio half first of all, and we use none of it (docs/performance.md has the figures).
defer("redis.asyncio")


def create_app(settings: Settings | None = None) -> Flask:
    """The web service. Raises ``SettingsError``, which names every fault, when a setting is missing or wrong.

    Where ``flask`` only looks for a command in it, it has no views, and reads no settings and opens nothing until the
    command asks for it: help needs neither.
    """
    with uncollected():
        # Imported here, so that emulator and others can be imported without the whole service.
        from flask import Flask

        from app import cli
        from app.core import logs

        flask = Flask(__name__, static_folder=None)
        flask.json.sort_keys = False  # type: ignore[attr-defined]
        logs.redact_libraries()
        cli.init_app(flask)
        is_looking = cli.is_looking_for_commands()
        if settings is None and not is_looking:
            from app.settings import load

            settings = load()
        if settings:
            flask.extensions["settings"] = settings
            if not is_looking:
                _add_views(flask, settings)
        return flask


def _add_views(flask: Flask, settings: Settings) -> None:
    from app import api, pages, receiver
    from app.web import access_log, headers, problems
    from app.web.answers import negotiation
    from app.web.answers.cross_origin import allow_origins
    from app.web.prefix import mount
    from app.web.services import attach

    flask.config["MAX_CONTENT_LENGTH"] = settings.max_body
    attach(flask)
    access_log.init_app(flask)
    headers.init_app(flask)
    problems.init_app(flask)
    negotiation.init_app(flask)
    receiver.init_app(flask)
    api.init_app(flask)
    pages.init_app(flask)
    flask.wsgi_app = allow_origins(flask.wsgi_app, settings.api_cors_origins)  # type: ignore[method-assign,assignment]
    mount(flask, settings.public_url)
