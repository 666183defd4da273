"""What one callback URL may cost (``CALLBACK_LIMITS``).

The exact counters are in the store, compared in the step that stores a callback, and cost no round trip. This module
counts the requests of this process, refused ones too, and remembers the store's answers, so that a flood is refused
right after the token is checked, before bodies are read, and also while Redis is away.
"""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from app.core.tokens import NO_BINDING, Binding
from app.settings import Settings
from app.store.accept.news import UrlLimit
from app.web.problems import Problem
from app.web.services import WebServices

log = logging.getLogger(__name__)


def limit_of(binding: Binding, settings: Settings) -> UrlLimit | None:
    """What the URL of this binding may cost; ``None`` if tokens are not verified, because then nothing names a URL."""
    limits = settings.callback_limits
    if binding == NO_BINDING:
        return None
    if binding.submission:
        return UrlLimit(limits.submission_per_minute, limits.submission_runs, bytes=limits.submission_bytes)
    return UrlLimit(
        limits.console_per_minute, limits.console_runs, bytes_per_minute=limits.console_bytes_per_minute
    )


def check_usage(web: WebServices, binding: Binding, token: str) -> None:
    """Raises ``Problem`` for a URL that is over its limits; ``token`` is the fingerprint."""
    limit = limit_of(binding, web.settings)
    if limit and (seconds := web.usage.count(token, limit)):
        raise over_limit(web, binding.submission, token, seconds)


def over_limit(web: WebServices, submission: str | None, token: str, seconds: int) -> Problem:
    """The refusal for a URL that may be used again in ``seconds``. The first one has CI asked about its jobs."""
    if web.usage.refuse(token, seconds):
        log.warning(
            "callback URL %s exceeded CALLBACK_LIMITS; refusing its callbacks for %d s", token, seconds
        )
        try:
            web.store.floods.note(token, submission, seconds)
        except RedisError as error:
            # Here its callbacks are refused from now on, so nothing would note it again.
            web.store.floods.note_later(token, submission, seconds)
            log.warning(
                "could not record that URL %s exceeded its limits (%s); it will be when Redis is back",
                token,
                type(error).__name__,
            )
    detail = "This callback URL exceeded CALLBACK_LIMITS. Nothing was stored; CI is asked instead."
    return Problem("too_many_callbacks", detail, retry_after=seconds)
