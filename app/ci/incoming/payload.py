"""What CI sends us, classified and normalized: callbacks, answers to our calls, and errors.

Every dialect that CI has published gives the same values; ``raw`` keeps how they looked. Nothing here knows who sent a
body, or whether it is true.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from app.ci.bounds import cut
from app.ci.incoming import json_view, limits, reports, xml_view
from app.ci.incoming.fields import many, node, nodes, text, texts, word
from app.ci.incoming.limits import BodyLimits, Budget
from app.ci.incoming.refused import Refused, quoted
from app.ci.report import Detail, Report

__all__ = [
    "Answer",
    "CIError",
    "Callback",
    "Refused",
    "Unreadable",
    "parse",
    "parse_answer",
    "parse_error",
    "read_body_view",
]

log = logging.getLogger(__name__)

Format = Literal["xml", "json"]
Kind = Literal["jobs", "workflow", "review", "probe"]

PROBE = "test request when setting callback url"
"""The beginning, in lower case, of the message that the console sends to test a new callback URL."""

EXPECTED = "expected one JobsDetail or WorkflowExecution at least, or a review's code, data and message"

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_FIRST = (b"<", b"{", b"[")


class Callback(Struct, frozen=True):
    """One body that was posted. A probe (the console's test message, or an empty form) has no details."""

    kind: Kind
    format: Format
    details: tuple[Detail, ...]


class Unreadable(Struct, frozen=True):
    """One entry of an answer that cannot be read as a job, and why; ``job_id`` is its id as far as it has one."""

    job_id: str
    reason: str
    why: str


class Answer(Struct, frozen=True):
    """CI's answer to submit, describe or list, of jobs or of workflow runs."""

    details: tuple[Detail, ...]
    non_existing: tuple[str, ...]
    next_token: str | None
    unreadable: tuple[Unreadable, ...] = ()


class CIError(Struct, frozen=True, kw_only=True):
    """The body of CI's error. Every field may be missing, because a proxy may answer in CI's place."""

    code: str | None = None
    message: str | None = None
    resource: str | None = None
    request_id: str | None = None
    trace_id: str | None = None


def parse(body: bytes) -> Callback:
    """Read one callback. Raises only Refused, for any body that is not a callback."""
    form, view = read_body_view(body, limits.CALLBACK)
    top = _envelope(view)
    if _is_probe(view) or _is_probe(top):
        return Callback("probe", form, ())
    event = cut("tag", word(top.get("EventName")) or word(view.get("EventName")))
    jobs, runs = _objects(top, "JobsDetail"), _objects(top, "WorkflowExecution")
    if jobs and runs:
        raise Refused("not_a_callback", "Found both JobsDetail and WorkflowExecution; expected one of them")
    _check_count(jobs + runs, limits.CALLBACK)
    if (jobs or runs) and all("State" in raw and _is_blank(raw) for raw in jobs + runs):
        return Callback("probe", form, ())
    if jobs:
        budget = Budget(limits.CALLBACK, len(body))
        kind: Kind = "review" if event and event.startswith(reports.REVIEW_EVENTS) else "jobs"
        return Callback(kind, form, tuple(Detail(reports.of_job(raw, event, budget), raw) for raw in jobs))
    if runs:
        return Callback("workflow", form, tuple(Detail(reports.of_workflow(raw, event), raw) for raw in runs))
    if {"event", "trace_id"} & node(top.get("data")).keys():
        return Callback("review", form, (Detail(reports.of_simple_review(top, event), top),))
    raise Refused("not_a_callback", f"Found {_names(view, top)}; {EXPECTED}")


def parse_answer(body: bytes) -> Answer:
    """Read CI's answer to submit, describe or list, of jobs or of workflow runs. Raises Refused.

    Jobs that cannot be read are ``Unreadable``; an answer without any readable job is refused.
    """
    form, view = read_body_view(body, limits.ANSWER)
    top = _envelope(view)
    if "Error" in top or (form == "xml" and top is view):
        raise Refused("not_an_answer", f"Found {_names(view, top)}; expected Response")
    jobs = _given(top, "JobsDetail")
    runs = _given(top, "WorkflowExecution") + _given(top, "WorkflowExecutionList")
    _check_count(jobs + runs, limits.ANSWER)
    read_each = [*(_one(raw, _job) for raw in jobs), *(_one(raw, _run) for raw in runs)]
    unreadable = tuple(one for one in read_each if isinstance(one, Unreadable))
    if unreadable and len(unreadable) == len(read_each):
        raise Refused(unreadable[0].reason, unreadable[0].why)
    return Answer(
        details=tuple(one for one in read_each if isinstance(one, Detail)),
        non_existing=tuple(job_id for ids in texts(top.get("NonExistJobIds")) for job_id in _split(ids)),
        next_token=word(top.get("NextToken")),
        unreadable=unreadable,
    )


def _one(raw: Any, report_of: Callable[[dict[str, Any]], Report]) -> Detail | Unreadable:
    """One job of an answer, with a budget of its own."""
    if not isinstance(raw, dict):
        return Unreadable("", "not_an_answer", f"Found {quoted(raw)}; expected an object")
    try:
        return Detail(report_of(raw), raw)
    except Refused as error:
        reason, why = error.reason, str(error)
    except Exception as error:
        # A fault of ours, which must not hide the answer's other jobs.
        log.exception("cannot read a job in CI's answer")
        reason, why = "internal", f"This is a bug of the service: {type(error).__name__}"
    job_id = text(raw.get("JobId")) or text(raw.get("RunId")) or ""
    return Unreadable(cut("job_id", job_id), reason, why)


def _job(raw: dict[str, Any]) -> Report:
    return reports.of_job(raw, None, Budget(limits.ANSWER))


def _run(raw: dict[str, Any]) -> Report:
    return reports.of_workflow(raw, None)


def parse_error(body: bytes) -> CIError:
    """Read an error of CI's. Never raises: for any other body all fields are empty."""
    try:
        _, view = read_body_view(body, limits.CALLBACK)
        top = _envelope(view)
    except Refused:
        return CIError()
    found = node(top.get("Error"))
    return CIError(
        code=text(found.get("Code")),
        message=text(found.get("Message")),
        resource=text(found.get("Resource")),
        request_id=text(found.get("RequestId")),
        trace_id=text(found.get("TraceId")),
    )


def read_body_view(body: bytes, caps: BodyLimits = limits.ANSWER) -> tuple[Format, dict[str, Any]]:
    """The format of a body, by its first byte and not by its content type, and its JSON view."""
    start = body.lstrip(_BLANK).removeprefix(_BOM).lstrip(_BLANK)
    if not start:
        raise Refused("empty_body", "Found an empty body; expected a callback in XML or JSON")
    if start[:1] not in _FIRST or start[1:2] == b"\0":
        raise Refused(
            "unsupported_media_type",
            f"Found a body that begins {quoted(start[:20])}; expected XML or JSON in UTF-8",
            status=415,
        )
    if start[:1] == b"<":
        return "xml", xml_view.xml_view(start, caps)
    view = json_view.json_view(start, caps)
    if not isinstance(view, dict):
        raise Refused("not_a_callback", f"Found a JSON array; {EXPECTED}")
    return "json", view


def _envelope(view: dict[str, Any]) -> dict[str, Any]:
    """The node that holds the jobs: ``Response``, or the top level, because JSON mostly leaves ``Response`` out."""
    if "Response" not in view:
        return view
    if {"JobsDetail", "WorkflowExecution"} & view.keys():
        raise Refused("not_a_callback", "Found jobs both in Response and beside it; expected one of them")
    return node(view["Response"])


def _is_probe(top: dict[str, Any]) -> bool:
    return any(
        key.lower() == "message" and (text(value) or "").lower().startswith(PROBE)
        for key, value in top.items()
    )


def _is_blank(value: Any) -> bool:
    """Whether it is the empty form that some of CI's pages print: every node is there, and all are empty."""
    if isinstance(value, dict | list):
        return all(map(_is_blank, value.values() if isinstance(value, dict) else value))
    return text(value) is None


def _objects(top: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects under a name. Anything else there is refused: dropping it could drop a job."""
    given = _given(top, name)
    found = nodes(given)
    if len(found) != len(given):
        raise Refused("not_a_callback", f"Found {name} that is no object; {EXPECTED}")
    return found


def _given(top: dict[str, Any], name: str) -> list[Any]:
    return [one for one in many(top.get(name)) if one not in (None, "")]


def _check_count(found: Sequence[object], caps: BodyLimits) -> None:
    if len(found) > caps.details:
        raise Refused("too_complex", f"Found {len(found)} jobs in one body; expected at most {caps.details}")


def _names(view: dict[str, Any], top: dict[str, Any]) -> str:
    inside = "" if top is view else f" with {_listed(top)} in Response"
    return f"the top-level names {_listed(view)}{inside}"


def _listed(found: dict[str, Any]) -> str:
    return quoted(", ".join(list(found)[:10])) if found else "(none)"


def _split(ids: str) -> list[str]:
    return [job_id for part in ids.split(",") if (job_id := part.strip())]


def detail_view(body: bytes, position: int) -> dict[str, Any]:
    """The JSON view of one JobsDetail of a stored body: a job's ``raw``."""
    _, view = read_body_view(body, limits.CALLBACK)
    top = _envelope(view)
    # As ``parse`` without the reports, because it runs for each job that a handler gets.
    found = _objects(top, "JobsDetail") or _objects(top, "WorkflowExecution") or [top]
    return dict(found[position])
