"""``flask keys``: who may use the API."""

from __future__ import annotations

import shlex

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.options import as_json
from app.cli.output import NOT_FOUND, REFUSED, fail, guarded, show_json
from app.documents.access import KeyView
from app.store.access.api_keys import SCOPES, NameTaken
from app.web.acts import acting
from app.web.services import services

_NAME_MAX = 64

group = AppGroup("keys", help="API keys: make, list, revoke.")


@group.command("create")
@click.argument("name")
@click.option("--scope", default="read", show_default=True, help=f"Comma list of {', '.join(SCOPES)}.")
@click.option(
    "--replace", is_flag=True, help="Take the place of the key of this name, which stops working at once."
)
@with_appcontext
@guarded
def create(name: str, scope: str, replace: bool) -> None:
    """Make a key and print it, and only it. It cannot be shown again."""
    if not 1 <= len(name) <= _NAME_MAX or not name.isprintable() or name != name.strip():
        fail(
            f"A name has 1 to {_NAME_MAX} printable characters, and no space at either end. Choose another.",
            REFUSED,
        )
    wanted = frozenset(part.strip() for part in scope.split(",") if part.strip())
    unknown = wanted - set(SCOPES)
    if unknown or not wanted:
        fail(
            f"--scope is a comma list of {', '.join(SCOPES)}; not {', '.join(sorted(unknown)) or 'empty'}.",
            REFUSED,
        )
    try:
        with acting("keys.create", name=name, scopes=",".join(sorted(wanted)), replaced=replace or None):
            key = services().store.api_keys.create(name, wanted, replace=replace)
        click.echo(key)
    except NameTaken:
        fail(
            f"An API key named {name!r} already exists and stays valid. Choose another name, run "
            f"`flask keys revoke {shlex.quote(name)}` first, or add --replace.",
            REFUSED,
        )


@group.command("list")
@as_json
@with_appcontext
@guarded
def list_keys(json_wanted: bool) -> None:
    """Names, scopes and ages; never the keys."""
    keys = services().store.api_keys.list()
    if json_wanted:
        show_json([KeyView.of(key) for key in keys])
        return
    for key in keys:
        click.echo(f"{key.name:<20} {','.join(sorted(key.scopes)):<30} {key.created_at}")


@group.command("revoke")
@click.argument("name")
@with_appcontext
@guarded
def revoke(name: str) -> None:
    """The key stops working at once; its open event streams end within 15 seconds."""
    with acting("keys.revoke", name=name) as done:
        revoked = services().store.api_keys.revoke(name)
        done.did(revoked=int(revoked))
    if not revoked:
        fail(f"No API key is named {name!r}.", NOT_FOUND)
