"""Loading settings from their sources, reporting every fault at once, and passing them to another process."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import click
from dotenv import dotenv_values
from pydantic import ValidationError

from app.core.processes import ROOT
from app.settings.development import is_development, made_secrets
from app.settings.secret_files import UnreadableValue
from app.settings.settings import Settings

STACK_ENV = ROOT / "var" / "stack.env"
_STACK = ROOT / "stack"
"""What ``make run`` starts; an image and an installed package are without it."""


class SettingsError(click.ClickException):
    """The settings are missing or invalid; the message names every fault and the purpose of each setting."""

    exit_code = 2


class StackIsDownError(SettingsError):
    """A command without settings in a checkout whose stack (``make run``) is not running."""

    exit_code = 5  # as where Redis is away


def stack_is_up() -> bool:
    """Whether ``make run`` is up in this checkout."""
    pid = dotenv_values(STACK_ENV).get("STACK_PID") if STACK_ENV.exists() else None
    if not pid:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _env_files() -> tuple[Path, ...]:
    """``var/stack.env`` is read only if no other source sets REDIS_URL: two installations are never mixed."""
    own = os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")
    own = own or dotenv_values(".env").get("REDIS_URL") or dotenv_values(".env").get("REDIS_URL_FILE")
    return (STACK_ENV, Path(".env")) if not own and stack_is_up() else (Path(".env"),)


_held: dict[str, Any] | None = None


def load(*, for_command: bool = False) -> Settings:
    """Read the settings, or raise one ``SettingsError`` that names every fault. Held settings are not read again.

    ``for_command``: if no setting is set at all, the command is meant for the stack of ``make run``.
    """
    try:
        return Settings(**_held) if _held else Settings(_env_file=_env_files(), **_made_keys())
    except ValidationError as error:
        if for_command and _STACK.is_dir() and not _is_anything_set():
            raise StackIsDownError(
                "The stack of this checkout is not running. Start it with: make run\n"
                "To use another installation, set its settings in the environment or in .env (docs/settings.md)."
            ) from None
        raise SettingsError(_explain(error)) from None


def _is_anything_set() -> bool:
    """Whether the environment or ``.env`` has a setting: then this is a deployment, and missing ones are reported."""
    given = dict(dotenv_values(".env")) | dict(os.environ)
    return any(given.get(f"{name.upper()}{end}") for name in Settings.model_fields for end in ("", "_FILE"))


def packed(chosen: Settings) -> bytes:
    """The settings as bytes for another process of this installation, which passes them to ``hold``. They contain
    secrets."""
    return pickle.dumps(dict(chosen))


def unpacked(values: bytes) -> Settings:
    """The inverse of ``packed``. Settings that the bytes do not have, because they are newer, come from the sources."""
    return Settings(**pickle.loads(values))  # noqa: S301 - from our own process, by a pipe or through a fork


def hold(values: bytes) -> None:
    """From now on ``load`` returns these settings, even if the files change: a process uses one set."""
    global _held  # noqa: PLW0603 - a process serves with one set of settings
    _held = dict(unpacked(values))


def _made_keys() -> dict[str, Any]:
    """If PUBLIC_URL is a loopback address, missing callback keys are generated once."""
    given = dict(dotenv_values(".env")) | dict(os.environ)
    if given.get("CALLBACK_KEYS") or given.get("CALLBACK_KEYS_FILE") or len(_env_files()) > 1:
        return {}
    if not given.get("REDIS_URL") or not is_development(given.get("PUBLIC_URL")):
        return {}
    return {"callback_keys": made_secrets(STACK_ENV.parent)["CALLBACK_KEYS"]}


def _explain(error: ValidationError) -> str:
    lines = ["Some settings are missing or invalid:"]
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = Settings.model_fields.get(name)
        what = "is missing" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        if isinstance(fault["input"], UnreadableValue):
            what = fault["input"].sentence
        lines.append(f"  {name.upper()}: {what}. {field.description}" if field else f"  {what}.")
    lines.append(
        "Set them in the environment or in .env (docs/settings.md). To try the service without any, run: make run"
    )
    return "\n".join(lines)
