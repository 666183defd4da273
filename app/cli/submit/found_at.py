"""Where a person finds what breaks a rule: at the option that was typed, in a row of a file, at a node of XML.

Rules name the fields of the request, as the API has them. Each function returns the same rules with the names that the
caller of a command has used instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from app.ci.outgoing.operation import ci_name
from app.ci.outgoing.rules.broken import BrokenRule
from app.ci.outgoing.rules.field_names import FieldNames
from app.cli.submit.voice_options import fields, flags
from app.submitter.rows import Row

OPTIONS = {path: flags(path)[0] for path, _ in fields()}
"""The option of each field."""
NAMES = FieldNames(OPTIONS, {"voice_separate": "--audio-mode"})


def at_options(broken: Iterable[BrokenRule], given: Collection[str]) -> list[BrokenRule]:
    """``given``: the fields whose options were typed."""
    return [_moved(each, lambda path: OPTIONS.get(path) or _other(path), given) for each in broken]


def in_row(broken: Iterable[BrokenRule], row: Row, *, has_columns: bool) -> list[BrokenRule]:
    """In the row itself, or at the option that fills what all rows leave open."""

    def place(path: str) -> str:
        common = path not in row.own and _is_in(path, row.data)
        if common or path.startswith("allow"):
            return OPTIONS.get(path) or _other(path)
        return f"column {_column(path)}" if has_columns else path

    return [_moved(each, place, row.own, worded=False) for each in broken]


def at_nodes(broken: Iterable[BrokenRule]) -> list[BrokenRule]:
    """Nodes of a ready file, by CI's names; labels and the rest of what no file holds are options."""

    def place(path: str) -> str:
        if path.partition(".")[0] in {"allow", "labels", "deadline"}:
            return _other(path)
        parts = (each if each.isdigit() or each[:1].isupper() else ci_name(each) for each in path.split("."))
        return "/".join(parts).replace("Callback", "CallBack")

    return [each.model_copy(update={"field": place(each.field) if each.field else ""}) for each in broken]


def _moved(
    each: BrokenRule, place: Callable[[str], str], given: Collection[str], *, worded: bool = True
) -> BrokenRule:
    typed = ", ".join(dict.fromkeys(map(place, NAMES.fields(each.field, given)))) if each.field else ""
    rule = NAMES.sentence(each.rule) if worded and each.word != "allow" else each.rule
    return each.model_copy(update={"field": typed, "rule": rule})


def _other(path: str) -> str:
    """``--label show``, ``--deadline``: options with a name of their own, or many values."""
    kind, _, name = path.partition(".")
    known = {"labels": f"--label {name}".rstrip(), "allow": "--allow", "deadline": "--deadline"}
    return known.get(kind, path)


def _column(path: str) -> str:
    kind, dot, name = path.partition(".")
    return f"label.{name}" if dot and kind == "labels" else path


def _is_in(path: str, data: object) -> bool:
    for name in path.split("."):
        if not isinstance(data, dict) or name not in data:
            return False
        data = data[name]
    return True
