"""The options of the command line; most can be changed at run time (`PATCH /_emulator/settings`)."""

from __future__ import annotations

import argparse
import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_YES = frozenset({"1", "true", "yes", "on"})


def _setting(default: Any, text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """How the emulator behaves. Every field is an option (`queue_seconds` is `--queue-seconds`) and can be
    changed while it runs. Times are in seconds."""

    queue_seconds: float = _setting(0.5, "how long a job stays Submitted")
    run_seconds: float = _setting(0.5, "how long a job stays Running")
    dialect: str = _setting(
        "array",
        "JSON callbacks: JobsDetail as an array, as an object, or wrapped in Response",
        ("array", "object", "wrapped"),
    )
    group_callbacks: bool = _setting(False, "one callback for all jobs of a submit, not one per job")
    retry_every: float = _setting(5.0, "pause before a failed callback is retried; CI documents half an hour")
    retry_times: int = _setting(10, "how often a failed callback is retried; 0 is never")
    callback_timeout: float = _setting(5.0, "time-out for the answer to a callback")
    strict_input: bool = _setting(False, "a job whose input object is not in the bucket fails")
    strict_templates: bool = _setting(False, "refuse a TemplateId that was not made here")
    public_callbacks: bool = _setting(False, "refuse a CallBack at a private or loopback address, as CI does")
    queue_size: int = _setting(10000, "jobs that a queue holds before it answers QueueSaturated")
    error_edition: str = _setting(
        "cos", "CI errors with a Resource (cos) or without (media): both are published", ("cos", "media")
    )


@dataclass(frozen=True)
class Options:
    """The command line: where to listen, where to keep state, and the settings to start with."""

    host: str
    port: int
    data: Path
    token: str | None
    faults: tuple[str, ...]
    settings: Settings
    tls: bool = False


class SettingError(ValueError):
    """An unknown setting, or an invalid value; the text names it."""


def change(settings: Settings, changes: dict[str, Any]) -> Settings:
    """A copy of the settings with these changes. Raises SettingError for the first invalid one."""
    known = {one.name: one for one in dataclasses.fields(Settings)}
    for name, value in changes.items():
        if name not in known:
            raise SettingError(f"no setting is named {name[:100]!r}; there are {', '.join(known)}")
        _check(known[name], value)
    return dataclasses.replace(settings, **changes)


def _check(one: dataclasses.Field[Any], value: Any) -> None:
    kinds = (int, float) if isinstance(one.default, float) else type(one.default)
    is_truth = isinstance(value, bool)
    if not isinstance(value, kinds) or is_truth != isinstance(one.default, bool):
        raise SettingError(f"{one.name} must be {type(one.default).__name__}")
    if isinstance(value, int | float) and value < 0:
        raise SettingError(f"{one.name} must not be negative")
    if one.metadata["choices"] and value not in one.metadata["choices"]:
        raise SettingError(f"{one.name} must be one of {', '.join(one.metadata['choices'])}")


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; an invalid one prints the usage and exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description="A local stand-in for Tencent CI."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one and prints it")
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the state")
    parser.add_argument(
        "--token",
        default=os.environ.get("EMULATOR_TOKEN"),
        help="security token that every request must carry; without it a token is ignored",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND:NAME=VALUE,…",
        help="inject a fault; see README.md",
    )
    parser.add_argument(
        "--tls",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("EMULATOR_TLS", "").lower() in _YES,
        help="speak https too, on the same port, with a self-signed certificate in the data directory",
    )
    for one in dataclasses.fields(Settings):
        _add(parser, one)
    given = vars(parser.parse_args(arguments))
    chosen = {one.name: given[one.name] for one in dataclasses.fields(Settings)}
    try:
        settings = change(Settings(), chosen)
    except SettingError as fault:
        parser.error(str(fault))
    common = {name: given[name] for name in ("host", "port", "data", "token", "tls")}
    return Options(**common, faults=tuple(given["fault"]), settings=settings)


def _add(parser: argparse.ArgumentParser, one: dataclasses.Field[Any]) -> None:
    flag = "--" + one.name.replace("_", "-")
    about: dict[str, Any] = {
        "default": one.default,
        "help": f"{one.metadata['help']} (default {one.default})",
    }
    if isinstance(one.default, bool):
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **about)
    else:
        parser.add_argument(flag, type=type(one.default), choices=one.metadata["choices"] or None, **about)
