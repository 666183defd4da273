"""The services that requests and commands use, and how an application holds them."""

from __future__ import annotations

from typing import Self, cast

from flask import Flask, current_app

from app.redis.breaker import Breaker
from app.redis.outage import OUTAGE
from app.services import Services
from app.settings import Settings, load
from app.spool import Spool
from app.spool.drain import Drainer
from app.spool.installation import Installation
from app.store.events.tail import Tail
from app.store.processes.reporter import Reporter
from app.web.usage import UrlUsage


class WebServices(Services, frozen=True):
    """``Services``, and for requests and commands also the event tail and the spool."""

    tail: Tail
    spool: Spool | None
    installation: Installation | None
    drainer: Drainer | None
    usage: UrlUsage
    reporter: Reporter

    @classmethod
    def open(cls, settings: Settings, *, timeout: float | None, breaker: Breaker | None = None) -> Self:
        core = Services.open(settings, timeout=timeout, breaker=breaker)
        store, spool, installation, drainer = core.store, None, None, None
        if settings.spool_dir:
            spool = Spool(settings.spool_dir, settings.spool_max)
            installation = Installation(store.db, settings.spool_dir, settings.redis_url)
            drainer = Drainer(
                spool,
                store.acceptor,
                store.refusals,
                store.durable,
                _drained,
                installation=installation,
                revoked=settings.revoked_tokens,
            )
        return cls(
            settings=settings,
            store=store,
            provider=core.provider,
            tail=Tail(settings.redis_url, settings.key_prefix, settings.redis_timeout, settings.waiting_max),
            spool=spool,
            installation=installation,
            drainer=drainer,
            usage=UrlUsage(),
            reporter=Reporter(store.presence, store.tallies, store.floods, "web"),
        )


def _drained(outcome: str) -> None:
    # Commands drain nothing, and start without the metrics library.
    from app.metrics import counted  # noqa: PLC0415

    counted.SPOOL_DRAINED.labels(outcome).inc()


def attach(app: Flask) -> WebServices:
    """Open the services of the application's settings, and keep them in the application."""
    settings: Settings | None = app.extensions.get("settings")
    if settings is None:
        settings = app.extensions["settings"] = load(for_command=True)
    opened = WebServices.open(settings, timeout=settings.redis_timeout, breaker=Breaker())
    app.extensions["services"] = opened
    callbacks = "go to the spool" if opened.spool else "are answered 503: set SPOOL_DIR"
    OUTAGE.affects = f"callbacks {callbacks}; the API and the pages answer 503"
    return opened


def attached(app: Flask) -> WebServices | None:
    """The services of the application; ``None`` if it is not ours."""
    return cast(WebServices | None, app.extensions.get("services"))


def of(app: Flask) -> WebServices:
    """The attached services; for a command they are opened now."""
    return cast(WebServices, app.extensions.get("services") or attach(app))


def services() -> WebServices:
    """The services of the application that serves this request, or has this command."""
    return of(current_app)
