"""From the JSON view of a job, a workflow run or a review to the Report. Only a bad id raises."""

import re
from typing import Any, TypeVar

from msgspec import Struct

from app.ci.bounds import BOUNDS, cut
from app.ci.incoming.fields import integer, node, text, texts, word
from app.ci.incoming.limits import Budget
from app.ci.incoming.made.media import media
from app.ci.incoming.made.nodes import tag_of
from app.ci.incoming.made.outputs import JobFacts, outputs
from app.ci.incoming.made.result import result
from app.ci.incoming.made.verdict import review
from app.ci.incoming.refused import Refused, quoted
from app.ci.incoming.times import utc
from app.ci.report import TERMINAL, Input, Report, Template, Workflow

WORKFLOW_EVENT = "WorkflowFinish"
JOB_EVENT = "TaskFinish"
"""CI's event name for the end of any job. It is the tag of a JobsDetail that names no other."""
REVIEW_EVENTS = "Review"

_JOB_ID = re.compile(rf"(?!\.{{1,2}}\Z)[!\"$&-.0->@-\[\]-~]{{1,{BOUNDS['job_id']}}}")
"""Printable ASCII without space and ``/ \\ % ? #``, and not ``.`` or ``..``."""

PartT = TypeVar("PartT", bound=Struct)


def of_job(detail: dict[str, Any], event: str | None, budget: Budget) -> Report:
    """A ``JobsDetail`` of any Tag. A review's has the fields of its input at the top instead of in ``Input``."""
    operation = node(detail.get("Operation"))
    workflow = node(detail.get("Workflow"))
    job_id = _job_id(detail.get("JobId"), detail.get("RunId"), workflow.get("RunId"), detail.get("trace_id"))
    run_id = word(workflow.get("RunId"))
    tag = cut("tag", word(detail.get("Tag")) or word(operation.get("Tag")) or _by_node(operation, event))
    state = cut("state", word(detail.get("State")))
    budget.spend(len(tag or ""))
    is_review = event is not None and event.startswith(REVIEW_EVENTS)
    return Report(
        job_id=job_id,
        tag=tag,
        state=state,
        terminal=state in TERMINAL,
        progress=integer(detail.get("Progress")),
        code=cut("code", text(detail.get("Code"))),
        message=cut("message", text(detail.get("Message"))),
        created_at=utc(detail.get("CreationTime")),
        started_at=utc(detail.get("StartTime")),
        ended_at=utc(detail.get("EndTime")),
        queue_id=cut("queue_id", word(detail.get("QueueId"))),
        queue_type=cut("queue_type", word(detail.get("QueueType"))),
        input=_input(node(detail.get("Input")) or (detail if is_review else {})),
        template=_template(operation),
        outputs=outputs(operation, JobFacts(tag, state, job_id, run_id), budget),
        user_data=cut("user_data", text(operation.get("UserData")) or text(detail.get("UserData"))),
        job_level=_first_integer(operation.get("JobLevel"), detail.get("JobLevel")),
        workflow=_workflow(workflow, word(workflow.get("WorkflowName")), word(workflow.get("Name"))),
        media=media(operation),
        result=review(event, detail) if is_review else result(detail, operation, tag),
    )


def of_workflow(run: dict[str, Any], event: str | None) -> Report:
    """A ``WorkflowExecution``: one run of a workflow, kept as a job of its own."""
    state = cut("state", word(run.get("State")))
    return Report(
        job_id=_job_id(run.get("RunId")),
        tag=cut("tag", event) or WORKFLOW_EVENT,
        state=state,
        terminal=state in TERMINAL,
        code=cut("code", text(run.get("Code"))),
        message=cut("message", text(run.get("Message"))),
        created_at=utc(run.get("CreateTime")),
        started_at=utc(run.get("StartTime")),
        ended_at=utc(run.get("EndTime")),
        input=_input(run),
        workflow=_workflow(run, word(run.get("WorkflowName")), None),
    )


def of_simple_review(body: dict[str, Any], event: str | None) -> Report:
    """A moderation callback in CI's ``Simple`` form: ``{code, data{event, trace_id, url, …}, message}``.

    It has no state: CI sends it when the review is over.
    """
    data = node(body.get("data"))
    return Report(
        job_id=_job_id(data.get("trace_id")),
        tag=cut("tag", word(data.get("event")) or event),
        code=cut("code", text(body.get("code"))),
        message=cut("message", text(body.get("message"))),
        input=_part(Input, "input", url=text(data.get("url"))),
        result=review(word(data.get("event")) or event, data),
    )


def _by_node(operation: dict[str, Any], event: str | None) -> str | None:
    """The tag implied by the nodes, for callbacks without one: ``TaskFinish`` is an event, not a tag."""
    return (tag_of(operation) if event in {None, JOB_EVENT} else None) or event


def _job_id(*claims: Any) -> str:
    """The first id that is present. It is untrusted: characters with a meaning in a path are refused.

    A list is refused even if it has one entry: which of two ids is meant would be a guess.
    """
    claim = next((one for one in claims if isinstance(one, list | dict) or text(one) is not None), None)
    found = None if isinstance(claim, list) else text(claim)
    if claim is None:
        raise Refused("bad_job_id", "Found no job id; expected JobId, RunId or trace_id")
    if found is None or not _JOB_ID.fullmatch(found):
        raise Refused(
            "bad_job_id",
            f"Found the job id {quoted(found if found is not None else claim)}; expected 1 to 128 printable "
            "ASCII characters without space and without any of / \\ % ? #, and not . or ..",
        )
    return found


def _part(kind: type[PartT], part: str, **found: str | None) -> PartT | None:
    """A part of the report; ``None`` if CI reported none of its fields."""
    if not any(found.values()):
        return None
    return kind(**{name: cut(f"{part}.{name}", value) for name, value in found.items()})


def _input(found: dict[str, Any]) -> Input | None:
    key = text(found.get("Object"))
    return _part(
        Input,
        "input",
        bucket=word(found.get("BucketId")),
        region=word(found.get("Region")),
        object=key.removeprefix("/") or None if key else None,
        url=text(found.get("Url")),
    )


def _template(operation: dict[str, Any]) -> Template | None:
    ids, names = texts(operation.get("TemplateId")), texts(operation.get("TemplateName"))
    return _part(Template, "template", id=ids[0] if ids else None, name=names[0] if names else None)


def _workflow(found: dict[str, Any], name: str | None, step: str | None) -> Workflow | None:
    run_id, workflow_id = word(found.get("RunId")), word(found.get("WorkflowId"))
    return _part(Workflow, "workflow", run_id=run_id, id=workflow_id, name=name, node=step)


def _first_integer(*values: Any) -> int | None:
    return next((number for value in values if (number := integer(value)) is not None), None)
