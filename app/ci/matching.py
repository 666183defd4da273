"""Whether a job in CI's list is the one that a request of ours asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.ci.asked import Asked, AskedOperation, AskedOutput
from app.ci.fields import node, text
from app.ci.payload import Detail
from app.ci.voice_separate import ROLES, Roles


def assign(asked: Asked, told: Sequence[Detail]) -> tuple[Detail, ...] | None:
    """The jobs of these operations, in their order; ``None`` unless there is exactly one way to choose them.

    Operations that are alike in everything may take each other's jobs: nobody could tell the difference.
    """
    taken: dict[str, Detail] = {}
    for like in _groups(asked.operations):
        fitting = [each for each in told if fits(asked, like[0], each)]
        if len(fitting) != len(like) or any(each.report.job_id in taken for each in fitting):
            return None
        taken |= {each.report.job_id: each for each in fitting}
    chosen: list[Detail] = []
    for operation in asked.operations:
        chosen.append(next(d for d in taken.values() if d not in chosen and fits(asked, operation, d)))
    return tuple(chosen)


def fits(asked: Asked, operation: AskedOperation, told: Detail) -> bool:
    """Whether everything that both sides name is the same, and nothing that we asked for is missing."""
    report = told.report
    source = report.input
    return (
        report.tag == operation.tag
        and _key(asked.input_object) == _key(source.object if source else None)
        and (asked.input_url is None or asked.input_url == (source.url if source else None))
        and (operation.user_data or None) == report.user_data
        and _agree(operation.template_id, report.template.id if report.template else None)
        and _agree(asked.queue_id, report.queue_id)
        and _same_outputs(operation, told)
    )


def _groups(operations: Sequence[AskedOperation]) -> Iterator[list[AskedOperation]]:
    kinds = list(dict.fromkeys(operations))
    for kind in kinds:
        yield [each for each in operations if each == kind]


def _agree(ours: str | None, theirs: str | None) -> bool:
    """What either side does not name cannot contradict."""
    return not ours or not theirs or ours == theirs


def _same_outputs(operation: AskedOperation, told: Detail) -> bool:
    output = node(node(told.raw.get("Operation")).get("Output"))
    wanted = list(operation.outputs)
    named = [name for name in ROLES if text(output.get(name))]
    return len(named) == len(wanted) and all(_is_written(each, output, told) for each in wanted)


def _is_written(wanted: AskedOutput, output: dict[str, Any], told: Detail) -> bool:
    names = [name for name, role in ROLES.items() if wanted.role in {None, role}]
    return (
        _agree(wanted.bucket, text(output.get("Bucket")))
        and _agree(wanted.region, text(output.get("Region")))
        and any(_same_key(wanted.object, text(output.get(name)), told.report.job_id) for name in names)
    )


def _same_key(wanted: str, written: str | None, job_id: str) -> bool:
    """CI may show a key as it was asked for, or with its wildcards filled in."""
    if not written:
        return False
    if _key(wanted) == _key(written):
        return True
    return Roles({"Object": wanted}, job_id, None).of(written.removeprefix("/")) is not None


def _key(value: str | None) -> str | None:
    return value.removeprefix("/") if value else None
