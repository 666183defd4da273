"""``flask callback-url``: an address for the console's queue settings, or for a test."""

from __future__ import annotations

import time

import click
from flask.cli import with_appcontext

from app.cli.output import REFUSED, fail, guarded
from app.services import services
from app.submitter.address import callback_url
from app.tokens import Binding, bare, fingerprint, new_nonce


@click.command("callback-url")
@click.option("--name", default="console", show_default=True, help="What it is for; shown in histories.")
@click.option("--tag", "tags", multiple=True, help="Take only jobs of this tag. May be repeated.")
@click.option("--bucket", help="Take only jobs on files of this bucket.")
@click.option("--days", type=click.IntRange(1), help="Expire after so many days; default: never.")
@click.option(
    "--revoke", metavar="URL", help="Make no URL; from now on refuse this one (or its fingerprint)."
)
@with_appcontext
@guarded
def command(
    name: str, tags: tuple[str, ...], bucket: str | None, days: int | None, revoke: str | None
) -> None:
    """Print a callback URL, and only that."""
    ours = services()
    if revoke:
        last = bare(revoke).rpartition("/")[2]
        ours.store.refusals.revoke(last if len(last) == 12 else fingerprint(last))
        return
    if ours.settings.public_url is None:
        fail("PUBLIC_URL is not set, so CI could not reach this service. Set it and try again.", REFUSED)
    expires = int(time.time()) + days * 86400 if days else None
    binding = Binding(name=name, tags=tags, bucket=bucket, expires=expires, nonce=new_nonce())
    click.echo(callback_url(ours.settings, binding))
