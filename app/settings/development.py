"""Secrets for development: generated on the first run if only this machine can reach the service, then kept."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def is_development(public_url: str | None) -> bool:
    """Whether only this machine can reach the service, so that its keys may be generated."""
    return not public_url or urlsplit(public_url).hostname in _LOOPBACK


def made_secrets(folder: Path) -> dict[str, str]:
    """``CALLBACK_KEYS`` and ``API_KEY`` of this checkout; the same on each call, so that callback URLs stay valid."""
    path = folder / "secrets.env"
    made = {"CALLBACK_KEYS": f"k1:{secrets.token_urlsafe(32)}", "API_KEY": f"ck_{secrets.token_urlsafe(24)}"}
    # An earlier run, or another process just now, has generated them: use those.
    with contextlib.suppress(FileExistsError):
        write_private(path, made)
    return {name: value or "" for name, value in dotenv_values(path).items()}


def write_private(path: Path, values: dict[str, str]) -> None:
    """Create a file that only its owner may read. Raises ``FileExistsError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}='{value}'\n" for name, value in values.items())
    # Written under another name and linked into place, so that no reader sees half a file.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.link(aside, path)
    finally:
        aside.unlink()
