"""The checks of a request before it costs money; all broken rules are reported at once.

A rule that CI documents is an error, one that is only inferred is a warning. A rule whose list may grow (CI adds a
codec, a mode, a region) can be let through by its word in `allow`; so can every warning.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from app.ci.outgoing.operation import views
from app.ci.outgoing.request import VOICE_SEPARATE, Defaults, SubmitRequest, request_errors
from app.ci.outgoing.rules.broken import MAY_PASS, WARNINGS, BrokenRule, RuleFindings
from app.ci.outgoing.rules.callback_rules import callback_rules
from app.ci.outgoing.rules.common_rules import (
    deadline_rules,
    input_rules,
    label_rules,
    operation_rules,
    output_rules,
    shape_rules,
)
from app.ci.outgoing.rules.text_rules import text_rules
from app.ci.outgoing.rules.voice_rules import voice_rules


def check(request: SubmitRequest, defaults: Defaults) -> list[BrokenRule]:
    """Every rule that the request breaks, errors before warnings; empty when it can be sent.

    `request.allow` silences the words in MAY_PASS; any other word in it is itself an error.
    """
    found = [
        _broken(*f) for f in _all(request, defaults) if f[1] not in request.allow or f[1] not in MAY_PASS
    ]
    return sorted(dict.fromkeys(found), key=lambda b: b.severity)


def examine(data: object, defaults: Defaults) -> tuple[SubmitRequest | None, list[BrokenRule]]:
    """`load_request` and `check` in one: errors of type, and the broken rules of all fields that could be read.

    The request is `None` if there are errors of type.
    """
    try:
        request = SubmitRequest.model_validate(data)
    except ValidationError as error:
        wrong = request_errors(error)
        return None, wrong + _rest(data, error, wrong, defaults)
    return request, check(request, defaults)


def _rest(
    data: object, error: ValidationError, wrong: list[BrokenRule], defaults: Defaults
) -> list[BrokenRule]:
    """The rules broken by what is left after removing everything of a wrong type."""
    for fault in error.errors():
        data = _without(data, tuple(fault["loc"]))
    try:
        request = SubmitRequest.model_validate(data)
    except ValidationError:
        return []
    fields = tuple(b.field for b in wrong)
    touched = fields + tuple(f.rpartition(".")[0] for f in fields if f.rpartition(".")[0])
    return [b for b in check(request, defaults) if b.field not in touched]


def _without(data: object, path: tuple[str | int, ...]) -> object:
    if not path:
        return {}
    if isinstance(data, Mapping):
        kept = {k: _without(v, path[1:]) if k == path[0] else v for k, v in data.items()}
        return {k: v for k, v in kept.items() if k != path[0] or len(path) > 1}
    if isinstance(data, list | tuple):
        # An entry of a list becomes an empty one, so that the others keep their numbers.
        return [_without(v, path[1:]) if i == path[0] else v for i, v in enumerate(data)]
    return data


def _broken(field: str, word: str, rule: str) -> BrokenRule:
    return BrokenRule(field=field, rule=rule, word=word, severity="warning" if word in WARNINGS else "error")


def _all(request: SubmitRequest, defaults: Defaults) -> RuleFindings:
    yield from _allow(request)
    yield from input_rules(request, defaults)
    yield from shape_rules(request)
    for view in views(request):
        yield from operation_rules(view)
        yield from output_rules(view, request, defaults)
        if view.tag == VOICE_SEPARATE:
            yield from voice_rules(view)
    yield from callback_rules(request)
    yield from label_rules(request)
    yield from deadline_rules(request)
    yield from text_rules(request)


def _allow(request: SubmitRequest) -> RuleFindings:
    for index, word in enumerate(request.allow):
        if word not in MAY_PASS:
            yield (
                f"allow.{index}",
                "allow",
                f"must be a rule that can be let through: {', '.join(sorted(MAY_PASS))}",
            )
