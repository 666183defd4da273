"""The callback URL that is made for one submission, or by hand for the console."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from app.ci.incoming.fields import text
from app.ci.matching.asked import Asked
from app.ci.outgoing.broken import Broken
from app.ci.outgoing.callback_rules import is_private
from app.core.tokens import Binding, digest, mint, object_digest
from app.settings import Settings


def callback_url(settings: Settings, binding: Binding) -> str:
    """Our own address for CI, with a token that carries ``binding``. Needs ``PUBLIC_URL``."""
    return f"{settings.public_url}/callbacks/{mint(binding, settings.callback_keys)}"


def valid_until(settings: Settings) -> int:
    """When a submission's URL that is minted now expires, in seconds since 1970."""
    return int(time.time() + settings.callback_life)


def binding_of(submission: str, asked: Asked, expires: int) -> Binding:
    """What the jobs of this submission may say of themselves. Bucket and region are always there: with them CI can be
    asked even when the submission's record is gone."""
    # As it is read in callbacks: what means nothing there, such as a `-`, binds nothing.
    told = [text(operation.user_data) for operation in asked.operations]
    return Binding(
        submission=submission,
        bucket=asked.bucket,
        region=asked.region,
        tags=_each(operation.tag for operation in asked.operations),
        objects=(object_digest(asked.input_object),) if asked.input_object else (),
        # Where one of several operations carries no user data, its job may say anything CI makes of that.
        user_data=_each(digest(data) for data in told if data) if all(told) else (),
        expires=expires,
    )


def doubts(settings: Settings) -> Iterator[Broken]:
    """Why no callback may come to an address of ours; the job is asked about all the same."""
    if settings.public_url is None:
        rule = "PUBLIC_URL is not set: the job is sent with CallBack=no, and CI is asked about it instead"
        yield Broken(field="callback", rule=rule, word="no_public_url", severity="warning")
    elif settings.ci_endpoint is None and is_private(urlsplit(settings.public_url).hostname or ""):
        rule = "PUBLIC_URL is a private address, which CI does not call; it is asked after DEADLINE"
        yield Broken(field="callback", rule=rule, word="private_public_url", severity="warning")


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
