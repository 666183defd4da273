"""What every process uses, opened once and passed on. It imports nothing of the web: relay and workers use it."""

from __future__ import annotations

from typing import Self

from msgspec import Struct

from app.ci.incoming.payload import detail_view
from app.provider import Provider, ProviderConfig
from app.redis.breaker import Breaker
from app.settings import Settings
from app.store import Limits, Store
from app.store.refusals.refusals import Bounds


class Services(Struct, frozen=True):
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


def provider_config(settings: Settings) -> ProviderConfig:
    return ProviderConfig(
        secret_id=settings.cos_secret_id,
        secret_key=settings.cos_secret_key.get_secret_value(),
        token=settings.cos_token.get_secret_value() if settings.cos_token else None,
        endpoint=settings.ci_endpoint,
    )
