"""What a request may use: made once by the factory, passed on by the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from app.provider import Provider, ProviderConfig
from app.settings import Settings
from app.store import Limits, Store
from app.store.tail import Tail


@dataclass(frozen=True, slots=True)
class Services:
    """The settings, the store, and the way to ask CI."""

    settings: Settings
    store: Store
    provider: Provider
    tail: Tail

    @classmethod
    def open(cls, settings: Settings, *, timeout: float | None) -> Services:
        """``timeout`` (seconds) bounds each call of the store; ``None`` for processes that block on purpose."""
        limits = Limits(history=settings.history_max, outbox=settings.outbox_max)
        return cls(
            settings=settings,
            store=Store.open(settings.redis_url, settings.key_prefix, timeout=timeout, limits=limits),
            provider=Provider(provider_config(settings)),
            tail=Tail(
                settings.redis_url, settings.key_prefix, settings.redis_timeout, _seats(settings.web_threads)
            ),
        )


def _seats(threads: int) -> int:
    """How many of a web process's threads may be held by those who wait: callbacks always find some free."""
    return max(1, threads - max(16, threads // 8))


def provider_config(settings: Settings) -> ProviderConfig:
    return ProviderConfig(
        secret_id=settings.cos_secret_id,
        secret_key=settings.cos_secret_key.get_secret_value(),
        token=settings.cos_token.get_secret_value() if settings.cos_token else None,
        endpoint=settings.ci_endpoint,
    )


def attach(app: Flask, services: Services) -> None:
    app.extensions["services"] = services


def services() -> Services:
    """Those of the application that is serving this request."""
    return cast(Services, current_app.extensions["services"])
