"""What one callback URL may cost (``CALLBACK_LIMITS``).

The exact counters are the store's: they are compared in the step that stores a callback, so they cost no round trip.
Here the requests of this process are counted, those that are refused too, and what the store answered is remembered:
so a flood is turned away right after the token, before its bodies are read, and also while Redis is away.
"""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from app.core.tokens import NO_BINDING, Binding
from app.settings import Settings
from app.store.jobs.accept import UrlLimit
from app.web.problems import Problem
from app.web.services import Services

log = logging.getLogger(__name__)


def limit_of(binding: Binding, settings: Settings) -> UrlLimit | None:
    """What the URL of this binding may cost; ``None`` where no token is verified, so that nothing names a URL."""
    limits = settings.callback_limits
    if binding == NO_BINDING:
        return None
    if binding.submission:
        return UrlLimit(limits.submission_per_minute, limits.submission_runs, bytes=limits.submission_bytes)
    return UrlLimit(
        limits.console_per_minute, limits.console_runs, bytes_per_minute=limits.console_bytes_per_minute
    )


def check_usage(ours: Services, binding: Binding, token: str) -> None:
    """Raises ``Problem`` for a URL that is over its limits; ``token`` is the fingerprint."""
    limit = limit_of(binding, ours.settings)
    if limit and (seconds := ours.usage.count(token, limit)):
        raise over_limit(ours, binding.submission, token, seconds)


def over_limit(ours: Services, submission: str | None, token: str, seconds: int) -> Problem:
    """The refusal of a URL that may send again in ``seconds``; with the first one CI is asked what it has to say."""
    if ours.usage.refuse(token, seconds):
        log.warning(
            "callback URL %s exceeded CALLBACK_LIMITS; refusing its callbacks for %d s", token, seconds
        )
        try:
            ours.store.floods.note(token, submission, seconds)
        except RedisError as error:
            log.warning("could not record that URL %s exceeded its limits (%s)", token, type(error).__name__)
    detail = "This callback URL exceeded CALLBACK_LIMITS. Nothing was stored; CI is asked instead."
    return Problem("too_many_callbacks", detail, retry_after=seconds)
