"""Whether a job in CI's list is the one that a request of ours asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.ci.incoming.fields import node, text, word
from app.ci.incoming.limits import ANSWER, Budget
from app.ci.incoming.made.voice_separate import ROLES, Roles
from app.ci.incoming.reports import of_job
from app.ci.matching.asked import Asked, AskedOperation, AskedOutput
from app.ci.report import Detail, Report


def assign(asked: Asked, reported: Sequence[Detail]) -> tuple[Detail, ...] | None:
    """The jobs of these operations, in their order; ``None`` unless there is exactly one way to assign them.

    Operations that are equal in everything may get each other's jobs: nothing distinguishes them.
    """
    taken: dict[str, Detail] = {}
    for like in _groups(asked.operations):
        fitting = [each for each in reported if fits(asked, like[0], each)]
        if len(fitting) != len(like) or any(each.report.job_id in taken for each in fitting):
            return None
        taken |= {each.report.job_id: each for each in fitting}
    chosen: list[Detail] = []
    for operation in asked.operations:
        chosen.append(next(d for d in taken.values() if d not in chosen and fits(asked, operation, d)))
    return tuple(chosen)


def fits(asked: Asked, operation: AskedOperation, reported: Detail) -> bool:
    """Whether everything that both sides name is the same, and nothing that we asked for is missing."""
    report, ours = reported.report, _as_report(asked, operation, reported.report.job_id)
    return (
        report.tag == ours.tag
        and _object(report) == _object(ours)
        and _url(ours) in {None, _url(report)}
        and report.user_data == ours.user_data
        and _agree(_template(ours), _template(report))
        and _agree(ours.queue_id, report.queue_id)
        and _same_outputs(operation, reported)
    )


def _as_report(asked: Asked, operation: AskedOperation, job_id: str) -> Report:
    """The request in the form in which CI would report it, read by the same code as CI's answers: so that a `-` or a
    blank is absent on both sides of a comparison."""
    detail = {
        "JobId": job_id,
        "Tag": operation.tag,
        "QueueId": asked.queue_id,
        "Input": {"Object": asked.input_object, "Url": asked.input_url},
        "Operation": {"TemplateId": operation.template_id, "UserData": operation.user_data},
    }
    return of_job(detail, None, Budget(ANSWER))


def _object(report: Report) -> str | None:
    return report.input.object if report.input else None


def _url(report: Report) -> str | None:
    return report.input.url if report.input else None


def _template(report: Report) -> str | None:
    return report.template.id if report.template else None


def _groups(operations: Sequence[AskedOperation]) -> Iterator[list[AskedOperation]]:
    kinds = list(dict.fromkeys(operations))
    for kind in kinds:
        yield [each for each in operations if each == kind]


def _agree(ours: str | None, theirs: str | None) -> bool:
    """What either side does not name cannot contradict."""
    return not ours or not theirs or ours == theirs


def _same_outputs(operation: AskedOperation, reported: Detail) -> bool:
    output = node(node(reported.raw.get("Operation")).get("Output"))
    wanted = [each for each in operation.outputs if text(each.object)]
    named = [name for name in ROLES if text(output.get(name))]
    return len(named) == len(wanted) and all(_is_written(each, output, reported) for each in wanted)


def _is_written(wanted: AskedOutput, output: dict[str, Any], reported: Detail) -> bool:
    names = [name for name, role in ROLES.items() if wanted.role in {None, role}]
    return (
        _agree(word(wanted.bucket), word(output.get("Bucket")))
        and _agree(word(wanted.region), word(output.get("Region")))
        and any(_same_key(wanted.object, text(output.get(name)), reported.report.job_id) for name in names)
    )


def _same_key(wanted: str, written: str | None, job_id: str) -> bool:
    """CI may report a key as it was requested, or with its wildcards filled in."""
    if not written:
        return False
    bare = written.removeprefix("/")
    return wanted.removeprefix("/") == bare or Roles({"Object": wanted}, job_id, None).of(bare) is not None
