"""What a process may use: opened once, passed on; in the web service by the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

from flask import Flask, current_app

from app.ci.incoming.payload import detail_view
from app.provider import Provider, ProviderConfig
from app.redis.breaker import Breaker
from app.settings import Settings
from app.spool import Spool
from app.spool.drain import Drainer
from app.spool.installation import Installation
from app.store import Limits, Store
from app.store.events.tail import Tail
from app.store.refusals.refusals import Bounds
from app.web import metrics
from app.web.usage import UrlUsage


@dataclass(frozen=True, slots=True)
class Services:
    """What every process uses: the settings, the store, and the way to ask CI."""

    settings: Settings
    store: Store
    provider: Provider

    @classmethod
    def open(cls, settings: Settings, *, timeout: float | None, breaker: Breaker | None = None) -> Self:
        """``timeout`` (seconds) bounds each call of the store; ``None`` for processes that block on purpose.

        ``breaker`` is for the web: a request must not wait for a Redis that has just timed out.
        """
        return cls(
            settings=settings,
            store=_store(settings, timeout, breaker),
            provider=Provider(provider_config(settings)),
        )


@dataclass(frozen=True, slots=True)
class WebServices(Services):
    """What a request, or a command, may use besides: waiting for events, and the spool."""

    tail: Tail
    spool: Spool | None
    installation: Installation | None
    drainer: Drainer | None
    usage: UrlUsage

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
        )


def _store(settings: Settings, timeout: float | None, breaker: Breaker | None) -> Store:
    return Store.open(
        settings.redis_url,
        settings.key_prefix,
        timeout=timeout,
        limits=Limits(
            history=settings.history_max,
            outbox=settings.outbox_max,
            jobs=settings.jobs_max,
            raw_s=min(settings.retention_raw, settings.retention_jobs),
            unknown_s=settings.callback_life,
        ),
        durability=settings.durability,
        breaker=breaker,
        refusals=Bounds(settings.retention_refusals.seconds, settings.retention_refusals.size),
        trust_outputs=settings.trust_outputs,
        view=detail_view,
    )


def _drained(outcome: str) -> None:
    metrics.SPOOL_DRAINED.labels(outcome).inc()


def provider_config(settings: Settings) -> ProviderConfig:
    return ProviderConfig(
        secret_id=settings.cos_secret_id,
        secret_key=settings.cos_secret_key.get_secret_value(),
        token=settings.cos_token.get_secret_value() if settings.cos_token else None,
        endpoint=settings.ci_endpoint,
    )


def attach(app: Flask, services: WebServices) -> None:
    app.extensions["services"] = services


def of(app: Flask) -> WebServices:
    return cast(WebServices, app.extensions["services"])


def services() -> WebServices:
    """Those of the application that is serving this request."""
    return of(current_app)
