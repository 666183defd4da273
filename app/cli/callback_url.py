"""``flask callback-url``: URLs for the console's queue settings, or for a test."""

from __future__ import annotations

import re
import time

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.columns import day, fitted
from app.cli.options import as_json
from app.cli.output import REFUSED, fail, guarded, show_json
from app.core.clock import now_ms
from app.core.tokens import BadToken, Binding, bare, fingerprint, new_nonce, read_token
from app.documents.access import CallbackUrlView
from app.services import Services
from app.settings import Settings
from app.store import UNAVAILABLE, Unavailable
from app.store.access.callback_urls import CallbackUrl
from app.web.acts import acting
from app.web.services import services

_FINGERPRINT = re.compile(r"[0-9a-f]{12}\Z")
_NAME_MAX = 64


def _name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.isprintable() or not 0 < len(value.strip()) <= _NAME_MAX:
        raise click.BadParameter(f"a name is 1 to {_NAME_MAX} printable characters.")
    return value.strip()


@click.group("callback-url", cls=AppGroup, invoke_without_command=True)
@click.option(
    "--name",
    default="console",
    show_default=True,
    callback=_name,
    help="What it is for; shown in histories, lists and metrics.",
)
@click.option("--tag", "tags", multiple=True, help="Accept only jobs with this tag. Repeatable.")
@click.option("--bucket", help="Accept only jobs whose input is in this bucket.")
@click.option(
    "--days", type=click.IntRange(1), help="Number of days after which the URL expires; default: never."
)
@click.option("--revoke", metavar="URL", help="Revoke this URL (or fingerprint) instead of creating one.")
@click.pass_context
@with_appcontext
@guarded
def group(
    context: click.Context,
    name: str,
    tags: tuple[str, ...],
    bucket: str | None,
    days: int | None,
    revoke: str | None,
) -> None:
    """Create and print a callback URL; or list the existing ones."""
    if context.invoked_subcommand:
        return
    web = services()
    if revoke:
        revoked = _fingerprint(revoke, web.settings)
        with acting("callback_url.revoke", fingerprint=revoked):
            web.store.refusals.revoke(revoked)
        click.echo(
            f"Revoked in Redis. Add {revoked} to REVOKED_TOKENS as well: "
            "the setting applies even while Redis is unavailable or after Redis lost its data.",
            err=True,
        )
        return
    if web.settings.public_url is None:
        fail("PUBLIC_URL is not set, so CI could not reach this service. Set it and try again.", REFUSED)
    expires = int(time.time()) + days * 86400 if days else None
    binding = Binding(name=name, tags=tags, bucket=bucket, expires=expires, nonce=new_nonce())
    from app.submitter.callback_url import callback_url  # noqa: PLC0415 - the submitter: to list URLs needs none of it

    url = callback_url(web.settings, binding)
    made = fingerprint(url.rpartition("/")[2])
    with acting(
        "callback_url.create", name=name, fingerprint=made, tags=",".join(tags) or None, bucket=bucket
    ):
        click.echo(url)
        _list_it(web, made, binding)


def _fingerprint(given: str, settings: Settings) -> str:
    """The fingerprint of a pasted URL; a fingerprint is returned unchanged."""
    last = bare(re.split(r"[?#]", given.strip())[0]).rpartition("/")[2]
    if _FINGERPRINT.match(last):
        return last
    try:
        read_token(last, settings.callback_keys)
    except BadToken:
        fail(
            "This is neither a fingerprint nor a callback URL that a key in CALLBACK_KEYS signed; nothing is revoked.\n"
            "Look for its fingerprint in `flask callback-url list`.",
            REFUSED,
        )
    return fingerprint(last)


def _list_it(web: Services, made_of: str, binding: Binding) -> None:
    """The URL works without its entry, so an error here is only a warning."""
    made = CallbackUrl(
        fingerprint=made_of,
        name=binding.name or "",
        tags=binding.tags,
        bucket=binding.bucket,
        created=now_ms(),
        expires=binding.expires * 1000 if binding.expires else None,
    )
    try:
        web.store.callback_urls.add(made)
    except (Unavailable, *UNAVAILABLE) as error:
        click.echo(
            f"The URL works, but `flask callback-url list` may not show it before its first use: {error}",
            err=True,
        )


@group.command("list")
@as_json
@with_appcontext
@guarded
def list_urls(json_wanted: bool) -> None:
    """Name, fingerprint, what it takes, made, last use, expiry; never the URL. A URL that an earlier release made is
    listed from its next use on."""
    urls, now = services().store.callback_urls.list(), now_ms()
    if json_wanted:
        show_json([CallbackUrlView.of(url, now) for url in urls])
        return
    if not urls:
        click.echo("No callback URLs. Create one with `flask callback-url`.")
        return
    click.echo(_row("NAME", "FINGERPRINT", "MADE", "LAST USE", "EXPIRES"))
    for url in urls:
        used = day(url.used) if url.used else "never"
        click.echo(_row(url.name, url.fingerprint, day(url.created), used, _end(url, now)))
        if url.tags or url.bucket:
            click.echo(
                fitted(f"  takes {', '.join(url.tags) or 'any tag'} in {url.bucket or 'any bucket'}", 80)
            )


def _row(name: str, *cells: str) -> str:
    return " ".join((fitted(name, 22, pad=True), *(f"{cell:<12}" for cell in cells))).rstrip()


def _end(url: CallbackUrl, now: int) -> str:
    if url.revoked:
        return "revoked"
    if url.expires is None:
        return "never"
    return "expired" if url.has_expired(now) else day(url.expires)
