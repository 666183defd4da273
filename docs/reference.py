"""The pages of commands and of the API, made of the application itself: neither Redis nor CI is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import click
from flask import Flask

from app import create_app
from app.cli import PRODUCT_COMMANDS, LateCommand
from app.settings import Settings
from workers.handlers_command import group as handlers_group

_COMMANDS = """# Commands

Made of the commands themselves by `make docs`. They are Flask's own command line: `flask COMMAND` where the
service is installed, `.venv/bin/flask COMMAND` in a checkout. `--json` prints what the API would return. Exit codes: 2
what was asked breaks rules, 3 there is no such thing, 4 the time is up, 5 Redis is unavailable (or the stack of this
checkout is not running), 6 CI refused or is unavailable.
"""

_API = """# API

Made of `/openapi.json` by `make docs`; a running service shows it with every field at `/docs/`. Requests carry
`Authorization: Bearer KEY`; a key has the scopes that `flask keys create` gave it. Errors are in
[problems.md](problems.md), the record of a job in [record.md](record.md).

| request | scope | what |
| --- | --- | --- |
"""


@cache
def _application() -> Flask:
    values: dict[str, Any] = {
        "redis_url": "redis://127.0.0.1:1",
        "cos_secret_id": "none",
        "cos_secret_key": "none",
        "cos_region": "ap-chongqing",
        "cos_bucket": "demo-1250000000",
        "callback_keys": "k1:" + "0" * 32,
    }
    return create_app(Settings(_env_file=None, **values))


def commands_page() -> str:
    """``docs/commands.md``."""
    ours = {name: LateCommand(name, line, where).command for name, (where, line) in PRODUCT_COMMANDS.items()}
    # That one only starts another program: no process of the web holds handlers.
    ours["handlers"] = handlers_group
    sections = (line for name, each in sorted(ours.items()) for line in _command(each, name))
    return _COMMANDS + "\n".join(sections) + "\n"


def _command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    is_group = isinstance(command, click.Group)
    if not is_group or command.params[1:] or getattr(command, "invoke_without_command", False):
        yield f"\n## flask {name}\n\n{_text(command.help)}\n"
        yield f"`flask {name} {usage}`\n"
        rows = [row for each in command.get_params(context) if (row := _option(each, context))]
        if rows:
            yield "| option | what |\n| --- | --- |\n" + "\n".join(rows)
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            found = command.get_command(context, part)
            assert found is not None  # noqa: S101 - it is in its own list
            yield from _command(found, f"{name} {part}")


def _option(parameter: click.Parameter, context: click.Context) -> str | None:
    record = parameter.get_help_record(context)
    if record is None or record[0] == "--help" or not record[1]:
        return None
    return f"| `{_cell(record[0])}` | {_cell(record[1])} |"


def _text(said: str | None) -> str:
    """A docstring's paragraphs, each in a line of its own."""
    paragraphs = re.split(r"\n\s*\n", (said or "").strip())
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


def _cell(said: str) -> str:
    return " ".join(said.split()).replace("|", "\\|")


def api_page() -> str:
    """``docs/api.md``."""
    document: dict[str, Any] = json.loads(_application().test_client().get("/openapi.json").data)
    rows = [
        _operation(method, path, operation)
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
        if isinstance(operation, dict) and "summary" in operation
    ]
    return _API + "\n".join(rows) + "\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    scopes = re.findall(r"scope `(\w+)`", operation.get("description", ""))
    query = [each["name"] for each in operation.get("parameters", ()) if each.get("in") == "query"]
    asked = f"; may be asked with `{'`, `'.join(query)}`" if query else ""
    return f"| `{method.upper()} {path}` | {', '.join(scopes) or 'none'} | {_cell(operation['summary'])}{asked} |"
