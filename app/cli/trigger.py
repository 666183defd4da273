"""``flask trigger``: one callback as CI would send it, without CI."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import IO, Any

import click
from flask.cli import with_appcontext
from pydantic import RootModel

from app.cli.output import CI_FAULT, REFUSED, fail, guarded, show_json
from app.core.tokens import Binding, new_nonce
from app.submitter.callback_url import callback_url
from app.web.acts import acting
from app.web.services import services

_LIFE_S = 3600
"""Of the URL that is made for one test, so that none of them stays valid or listed."""


def _binding() -> Binding:
    return Binding(name="trigger", expires=int(time.time()) + _LIFE_S, nonce=new_nonce())


def _text(body: IO[bytes]) -> str:
    try:
        text = body.read().decode()
    except UnicodeDecodeError as error:
        fail(f"{body.name} is no text in UTF-8: {error.reason} at byte {error.start}.", REFUSED)
    if not text:
        fail(f"{body.name} is empty; give a file with a callback.", REFUSED)
    return text


@click.command("trigger")
@click.argument("tag")
@click.option(
    "--format",
    "form",
    default="JSON",
    show_default=True,
    type=click.Choice(["JSON", "XML"], case_sensitive=False),
    help="What CI would write.",
)
@click.option("--state", default="Success", show_default=True, help="The state of the job.")
@click.option(
    "--times", default=1, show_default=True, type=click.IntRange(1, 1000), help="How many times to send it."
)
@click.option("--out-of-order", is_flag=True, help="Send an older state after it.")
@click.option("--user-data", default="", help="The job's UserData.")
@click.option(
    "--body",
    type=click.File("rb"),
    help="Send this file unchanged, - for standard input: what CI sent, say. TAG and the rest are then not used.",
)
@click.option("--url", help="Where to. Default: a fresh callback URL of this service.")
@with_appcontext
@guarded
def command(
    tag: str,
    form: str,
    state: str,
    times: int,
    out_of_order: bool,
    user_data: str,
    body: IO[bytes] | None,
    url: str | None,
) -> None:
    """Have the emulator send a callback for an invented job, with outputs, media and results of that TAG's shape."""
    import requests  # noqa: PLC0415 - every other command, and the web service, start without it

    settings = services().settings
    if settings.ci_endpoint is None or (url is None and settings.public_url is None):
        fail("This needs the emulator (CI_ENDPOINT) and PUBLIC_URL; `make run` sets both.", REFUSED)
    target = url or callback_url(settings, _binding())
    wanted = {
        "url": target,
        "tag": tag,
        "format": form.upper(),
        "state": state,
        "times": times,
        "out_of_order": out_of_order,
        "bucket": settings.cos_bucket,
        "region": settings.cos_region,
        "user_data": user_data,
        "body": _text(body) if body else None,
    }
    try:
        with acting("trigger", tag=tag, state=state, times=times):
            answer = requests.post(f"{settings.ci_endpoint}/_emulator/callbacks", json=wanted, timeout=60)
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            fail(f"The emulator sent no callback: {answer.json()['error']}.", REFUSED)
        answer.raise_for_status()
    except requests.RequestException as error:
        fail(f"The emulator at {settings.ci_endpoint} sent no callback: {type(error).__name__}.", CI_FAULT)
    show_json(RootModel[dict[str, Any]](answer.json()))
