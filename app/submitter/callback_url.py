"""Mints callback URLs: for a submission, or for CI's console (``flask callback-url``)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from app.ci.incoming.fields import text
from app.ci.matching.asked import Asked
from app.ci.outgoing.rules.broken import BrokenRule
from app.ci.outgoing.rules.callback_rules import is_private
from app.core.tokens import Binding, digest, mint, object_digest
from app.settings import Settings


def callback_url(settings: Settings, binding: Binding) -> str:
    """Our callback URL, with a token that carries ``binding``. Needs ``PUBLIC_URL``."""
    return f"{settings.public_url}/callbacks/{mint(binding, settings.callback_keys)}"


def valid_until(settings: Settings) -> int:
    """When a submission's URL that is minted now expires, in seconds since 1970."""
    return int(time.time() + settings.callback_life)


def binding_of(submission: str, asked: Asked, expires: int) -> Binding:
    """What callbacks with this submission's token may report. Bucket and region are always set: with them CI can be
    asked even if the submission's record is lost."""
    # Read as callbacks are read: a value that means "none" there, such as `-`, binds nothing.
    user_data = [text(operation.user_data) for operation in asked.operations]
    return Binding(
        submission=submission,
        bucket=asked.bucket,
        region=asked.region,
        tags=_each(operation.tag for operation in asked.operations),
        objects=(object_digest(asked.input_object),) if asked.input_object else (),
        # If one of several operations has no user data, its job's callback may carry any.
        user_data=_each(digest(data) for data in user_data if data) if all(user_data) else (),
        expires=expires,
    )


def unreachable_warnings(settings: Settings) -> Iterator[BrokenRule]:
    """Warnings that no callback can reach us; CI is asked about such a job instead."""
    if settings.public_url is None:
        rule = "PUBLIC_URL is not set: the job is sent with CallBack=no, and CI is asked about it instead"
        yield BrokenRule(field="callback", rule=rule, word="no_public_url", severity="warning")
    elif settings.ci_endpoint is None and is_private(urlsplit(settings.public_url).hostname or ""):
        rule = "PUBLIC_URL is a private address, which CI does not call; CI is asked about the job after DEADLINE"
        yield BrokenRule(field="callback", rule=rule, word="private_public_url", severity="warning")


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
