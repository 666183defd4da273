"""Removes what is past its retention, a little at a time: RETENTION_JOBS, RETENTION_REFUSALS, CALLBACK_LIFE."""

from __future__ import annotations

import logging
import threading

from app.services import Services

log = logging.getLogger(__name__)

_COUNT = 100
"""Records of a kind that one step looks at: a few milliseconds of Redis."""
_IDLE_S = 30.0
_BUSY_S = 0.05


def step(services: Services, stopping: threading.Event) -> int:
    """Remove some records that are too old, then wait, longer if there were no more. Returns how many it looked at."""
    settings, retention = services.settings, services.store.retention
    found = [
        retention.drop_jobs(settings.retention_jobs, _COUNT, settings.callback_life),
        retention.drop_submissions(settings.retention_jobs, _COUNT),
        services.store.refusals.drop_old(settings.retention_refusals.seconds, _COUNT),
    ]
    services.store.callback_urls.drop_expired(settings.retention_jobs)
    services.store.values.sweep(_COUNT)
    stopping.wait(_BUSY_S if max(found) == _COUNT else _IDLE_S)
    return sum(found)
