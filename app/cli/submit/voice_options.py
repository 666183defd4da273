"""Every field of the VoiceSeparate request as an option; names and help come from the request model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import click
from pydantic import BaseModel

from app.ci.outgoing.request import SubmitRequest
from app.cli.options import labels, together
from app.submitter.rows import nest

_OF_THEIR_OWN = frozenset({"tag", "labels", "allow", "operation", "operations"})
"""Fields that are no option, or not one with a text."""
_SAME_IN_BOTH = frozenset({"bucket", "region", "object", "url"})
"""Names that both ``input`` and ``output`` may have: such an option has the part's name as well."""
_SHORTER = {
    "input.object": "--input",
    "input.bucket": "--bucket",
    "input.region": "--region",
    "output.object": "--object",
}


def fields(model: type[BaseModel] = SubmitRequest, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and description of each field that has an option."""
    for name, field in model.model_fields.items():
        if name in _OF_THEIR_OWN:
            continue
        part = next(
            (each for each in (field.annotation, *get_args(field.annotation)) if _is_model(each)), None
        )
        if part is not None:
            yield from fields(part, f"{path}{name}.")
        else:
            yield f"{path}{name}", field.description or ""


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def flags(path: str) -> list[str]:
    """The names of a field's option, the full one first."""
    *parts, name = path.split(".")
    words = [*parts, name] if name in _SAME_IN_BOTH else [name]
    full = "--" + "-".join(words).replace("_", "-")
    return [full, _SHORTER[path]] if path in _SHORTER else [full]


def _parameter(path: str) -> str:
    return path.replace(".", "_")


allow_option = click.option(
    "--allow",
    multiple=True,
    metavar="WORD",
    help="Let a rule through, by its word in [brackets]. Repeatable.",
)
labels_option = labels("Your own; CI does not get it. In the job, its events and deliveries.")
voice_options = together(
    *(
        click.option(*flags(path), _parameter(path), metavar="TEXT", help=description)
        for path, description in fields()
    ),
    labels_option,
    allow_option,
)
"""All of them, for ``submit_request``."""


def submit_request(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the body of ``POST /v1/jobs`` would have them, without those that are not given."""
    flat = {path: options[_parameter(path)] for path, _ in fields()}
    named = {"labels": options["labels"]} if options["labels"] else {}
    return nest(flat | {"allow": list(options["allow"])}) | named
