"""Secrets in text for logs: for the application, and for the master of gunicorn, which imports nothing of it."""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(r"(/callbacks/)([^\s/?\"'<>]+)")
# Wherever one turns up: what itsdangerous makes of a payload, and 43 letters of signature. It begins where a run of
# these letters begins, and gives none back: a stranger's 100,000 letters are read once and not from each of them.
_BARE_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])\.?[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
_BEARER = re.compile(r"(?i)(bearer\s+|q-signature=)[^\s&\"']+")


def without_secrets(text: str, name_of: Callable[[str], str] = lambda _: "redacted") -> str:
    """Callback tokens become ``[name_of(token)]``; keys and signatures disappear."""
    text = _TOKEN.sub(lambda found: f"{found[1]}[{name_of(found[2])}]", text)
    text = _BARE_TOKEN.sub(lambda found: f"[{name_of(found[0])}]", text)
    return _BEARER.sub(r"\1[redacted]", text)
