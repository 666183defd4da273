"""Writes the pages that are made of the code: ``make docs``. A test fails when they are out of date."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticUndefined

from app.problems import PROBLEMS
from app.settings import Settings

FOLDER = Path(__file__).parent

_SETTINGS = """# Settings

Made of `app/settings.py` by `make docs`. Values come from the environment, from the file that `NAME_FILE` names, or
from `.env`; the earlier wins. A start with a missing or wrong setting stops with one message that names them all.
Durations are seconds, or a number with `s`, `m`, `h` or `d`; sizes are bytes, or a number with `KiB`, `MiB` or `GiB`.

`make run` sets the required ones for everything that it starts, and `flask` commands in the same checkout find them
while it is up, unless you name a `REDIS_URL` of your own.

| name | default | what it is for |
| --- | --- | --- |
{rows}

The web process also reads `HOST` (127.0.0.1), `PORT` (8000), `WEB_CONCURRENCY` (2 processes) and gunicorn's own
`GUNICORN_CMD_ARGS`; `WEB_THREADS` it reads from the environment only.
"""

_PROBLEMS = """# Problems

Made of `app/problems.py` by `make docs`. Every error is `application/problem+json` (RFC 9457); `reason` is one of these
words, `type` is `/problems/<reason>`, and `detail` says what is wrong and what to do next.

| reason | status | meaning |
| --- | --- | --- |
{rows}
"""


def settings_page() -> str:
    """``docs/settings.md``."""
    rows = []
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{name.upper()}` | {_default(field.default)} | {field.description} |")
    return _SETTINGS.format(rows="\n".join(rows))


def problems_page() -> str:
    """``docs/problems.md``."""
    rows = [f"| `{reason}` | {status} | {title} |" for reason, (status, title) in PROBLEMS.items()]
    return _PROBLEMS.format(rows="\n".join(rows))


PAGES = {"settings.md": settings_page, "problems.md": problems_page}


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value == ():
        return "none"
    if isinstance(value, frozenset | tuple):
        return f"`{','.join(sorted(map(str, value), reverse=True))}`"
    return f"`{value}`"


if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make())
