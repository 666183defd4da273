"""Every text of a record has a bound of its own, whatever is sent."""

import json
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from msgspec import Struct

from app.ci.bounds import BOUNDS, cut
from app.ci.incoming.payload import parse, parse_answer
from app.ci.incoming.refused import Refused
from app.ci.report import Report
from app.provider.queues import parse_queues
from tests.ci.samples import event, to_json, voice_separate, xml

MINE = {"outputs.url"}
"""Made by us, not read."""

LONG = "x" * 100_000


def texts_of(struct: type[Struct], path: str = "") -> Iterator[str]:
    """The dotted names of all texts of a struct."""
    for name, kind in get_type_hints(struct).items():
        kinds = {kind, *get_args(kind)}
        if str in kinds:
            yield path + name
        for inner in kinds:
            if isinstance(inner, type) and issubclass(inner, Struct):
                yield from texts_of(inner, f"{path}{name}.")


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from strings(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner, path)
    elif isinstance(value, str):
        yield path, value


def lengthened(
    tree: Any, keep: tuple[str, ...] = ("JobId", "RunId", "trace_id", "EventName", "event")
) -> Any:
    if isinstance(tree, dict):
        return {name: one if name in keep else lengthened(one, keep) for name, one in tree.items()}
    if isinstance(tree, list):
        return [lengthened(one, keep) for one in tree]
    return LONG


EVERYTHING = voice_separate(
    Message="m",
    UserData="u",
    Input={"BucketId": "b", "Region": "r", "Object": "o", "Url": "u"},
    Workflow={"RunId": "i1", "WorkflowId": "w", "WorkflowName": "n", "Name": "s"},
)
EVERYTHING["Operation"]["MediaInfo"] = {
    "Format": {"FormatName": "f"},
    "Stream": {"Video": {"CodecName": "v"}, "Audio": {"CodecName": "a"}},
}
RUN = {
    "RunId": "i1",
    **dict.fromkeys(("State", "Code", "Message", "BucketId", "Object", "WorkflowId", "WorkflowName"), "x"),
}
REVIEW = {"code": "c", "message": "m", "data": {"trace_id": "t1", "event": "ReviewImage", "url": "u"}}

BODIES = {
    "a job in JSON": to_json(event(lengthened(EVERYTHING))),
    "a job in XML": xml(event(lengthened(EVERYTHING))),
    "a job's event": to_json(event({"JobId": "j1"}, LONG)),
    "a workflow run": to_json({"EventName": LONG, "WorkflowExecution": lengthened(RUN)}),
    "a review": json.dumps(lengthened(REVIEW)).encode(),
    "a review's event": json.dumps({"data": {"trace_id": "t1", "event": LONG}}).encode(),
}


def test_every_text_of_a_record_has_a_bound() -> None:
    """A new field needs one too."""
    assert set(texts_of(Report)) - MINE <= BOUNDS.keys()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_longer_texts_are_cut(body: bytes) -> None:
    """They end in an ellipsis; raw has every character."""
    detail = parse(body).details[0]
    found = list(strings(detail.report.to_dict()))
    assert all(len(text) <= BOUNDS[path] for path, text in found)
    assert any(text.endswith("…") for _, text in found)
    assert LONG in body.decode()
    if "JobsDetail" in body.decode() and "EventName" not in detail.raw and "State" in detail.raw:
        assert detail.raw["State"] == LONG


def test_all_of_them_are_cut_in_one_job() -> None:
    """The table is used for every field that a job can fill."""
    report = parse(BODIES["a job in JSON"]).details[0].report
    shortened = {path for path, text in strings(report.to_dict()) if text.endswith("…")}
    kept = {
        "job_id",
        "workflow.run_id",
        "created_at",
        "started_at",
        "ended_at",
        "outputs.role",
        "outputs.etag",
        "result.kind",
        "result.verdict.label",
    }
    assert shortened == {path for path in texts_of(Report) if path not in kept | MINE}


def test_the_kind_and_the_label_of_a_result_are_cut_too() -> None:
    """Both are names that the body chose."""
    odd = parse(to_json(event({"JobId": "j1", "Operation": {f"{LONG}Result": {"A": "1"}}}))).details[0].report
    review = (
        parse(to_json(event({"JobId": "j1", "Label": LONG, "Result": 1}, "ReviewText"))).details[0].report
    )
    assert odd.result and len(odd.result.kind) == BOUNDS["result.kind"]
    assert review.result and review.result.verdict and review.result.verdict.label
    assert len(review.result.verdict.label) == BOUNDS["result.verdict.label"]


def test_text_within_the_limit_is_unchanged() -> None:
    """The last character that fits stays, one more is cut."""
    for field, most in BOUNDS.items():
        assert cut(field, "x" * most) == "x" * most
        assert cut(field, "x" * (most + 1)) == "x" * (most - 1) + "…"
        assert cut(field, None) is None


def test_an_identity_is_refused_instead() -> None:
    """Two ids that are cut could be the same."""
    for body in ({"JobId": "j" * 129}, {"RunId": "i" * 129}):
        with pytest.raises(Refused) as caught:
            parse(to_json(event(body)))
        assert caught.value.reason == "bad_job_id"


def test_answers_of_ci_have_the_same_bounds() -> None:
    """What CI itself says is kept in the same record."""
    report = parse_answer(BODIES["a job in XML"]).details[0].report
    assert all(len(text) <= BOUNDS[path] for path, text in strings(report.to_dict()))


def test_queues_have_bounds_too() -> None:
    """Their names are shown in a terminal."""
    names = ("QueueId", "Name", "State", "Category", "CreateTime")
    notify = dict.fromkeys(("State", "Url", "Type", "Event", "ResultFormat"), LONG)
    queue = {**dict.fromkeys(names, LONG), "NotifyConfig": notify}
    found = parse_queues(json.dumps({"Response": {"QueueList": [queue]}}).encode()).queues[0]
    assert max(len(text) for _, text in strings(found.model_dump())) <= BOUNDS["queue.url"]
    assert len(found.name or "") <= BOUNDS["queue.name"]
