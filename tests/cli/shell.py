"""Runs commands in one installation."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result
from flask import Flask

from app import create_app
from app.settings import Settings
from app.store import Store

REFUSED, NOT_FOUND, NOT_YET, NO_STORE, CI_FAULT = 2, 3, 4, 5, 6
SUBMIT = (
    "submit", "voice-separate", "--input-object", "in/a.mp3", "--audio-mode", "IsAudio", "--codec", "mp3",
    "--au-object", "out/a.mp3",
)  # fmt: skip


class Shell:
    """Commands of one installation."""

    def __init__(self, settings: Settings) -> None:
        self.app: Flask = create_app(settings)
        self.store: Store = self.app.extensions["services"].store

    def run(self, *arguments: str, code: int = 0) -> Result:
        """The result of ``flask <arguments>``; it must end with ``code``, and never in a traceback."""
        result = self.app.test_cli_runner().invoke(args=list(arguments), prog_name="flask")
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.stderr
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)


def reader(shell: Shell) -> dict[str, str]:
    return {"Authorization": f"Bearer {shell.store.api_keys.create('reader', frozenset({'read'}))}"}
