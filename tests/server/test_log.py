"""The log lines of gunicorn's master hold no secret, in JSON and in text."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.core.tokens import Binding, mint, new_nonce
from harness.servers import ROOT
from harness.settings import make_settings

_MASTER = """
import sys
from gunicorn.config import Config
from server.log import MasterLog
log, token = MasterLog(Config()), sys.argv[1]
log.error("The reload was refused: %s", f"https://ci.example.com/callbacks/{token} and {token}")
try:
    raise ValueError("Authorization: Bearer " + sys.argv[2])
except ValueError as error:
    log.exception("Unhandled exception in main loop: %s", error)
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_in_a_line_of_the_master_is_redacted(form: str) -> None:
    """In a message, its arguments, and the traceback of an exception."""
    token = mint(Binding(nonce=new_nonce()), make_settings("redis://127.0.0.1:1").callback_keys)
    done = subprocess.run(
        [sys.executable, "-c", _MASTER, token, "plantedbearer"],
        cwd=ROOT,
        env=os.environ | {"LOG_FORMAT": form},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("[redacted]") == 4 and "Traceback" in done.stderr
    assert [planted for planted in (token, "plantedbearer") if planted in done.stderr] == []
