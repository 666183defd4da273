"""What a request may use: made once by the factory, passed on by the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from flask import Flask, current_app

from app.ci.incoming.payload import view
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
from app.web.gate import Gate
from app.web.usage import UrlUsage


@dataclass(frozen=True, slots=True)
class Services:
    """The settings, the store, and the way to ask CI."""

    settings: Settings
    store: Store
    provider: Provider
    gate: Gate
    tail: Tail
    spool: Spool | None
    installation: Installation | None
    drainer: Drainer | None
    usage: UrlUsage = field(default_factory=UrlUsage)

    @classmethod
    def open(cls, settings: Settings, *, timeout: float | None, breaker: Breaker | None = None) -> Services:
        """``timeout`` (seconds) bounds each call of the store; ``None`` for processes that block on purpose.

        ``breaker`` is for the web: a request must not wait for a Redis that has just timed out.
        """
        limits = Limits(
            history=settings.history_max,
            outbox=settings.outbox_max,
            jobs=settings.jobs_max,
            raw_s=min(settings.retention_raw, settings.retention_jobs),
            unknown_s=settings.callback_life,
        )
        store = Store.open(
            settings.redis_url,
            settings.key_prefix,
            timeout=timeout,
            limits=limits,
            durability=settings.durability,
            breaker=breaker,
            refusals=Bounds(settings.retention_refusals.seconds, settings.retention_refusals.size),
            trust_outputs=settings.trust_outputs,
            view=view,
        )
        spool = Spool(settings.spool_dir, settings.spool_max) if settings.spool_dir else None
        installation = (
            Installation(store.db, settings.spool_dir, settings.redis_url) if settings.spool_dir else None
        )
        gate = Gate()
        return cls(
            settings=settings,
            store=store,
            provider=Provider(provider_config(settings)),
            gate=gate,
            tail=Tail(
                settings.redis_url,
                settings.key_prefix,
                settings.redis_timeout,
                _seats(settings.web_threads),
                gate.outside,
            ),
            spool=spool,
            installation=installation,
            drainer=Drainer(
                spool,
                store.acceptor,
                store.refusals,
                store.durable,
                _drained,
                installation=installation,
                revoked=settings.revoked_tokens,
            )
            if spool
            else None,
        )


def _drained(outcome: str) -> None:
    metrics.SPOOL_DRAINED.labels(outcome).inc()


def _seats(threads: int) -> int:
    """How many of a web process's threads may be held by those who wait: callbacks always find some free."""
    return max(1, threads - max(16, min(64, threads // 8)))


def provider_config(settings: Settings) -> ProviderConfig:
    return ProviderConfig(
        secret_id=settings.cos_secret_id,
        secret_key=settings.cos_secret_key.get_secret_value(),
        token=settings.cos_token.get_secret_value() if settings.cos_token else None,
        endpoint=settings.ci_endpoint,
    )


def attach(app: Flask, services: Services) -> None:
    app.extensions["services"] = services
    app.wsgi_app = services.gate.guard(app.wsgi_app)  # type: ignore[method-assign, assignment]


def services() -> Services:
    """Those of the application that is serving this request."""
    return cast(Services, current_app.extensions["services"])
