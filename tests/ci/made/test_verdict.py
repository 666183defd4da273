"""A review has its verdict, in both of CI's forms."""

import json
from typing import Any

import pytest

from app.ci.incoming.payload import parse
from app.ci.report import Report, Verdict


def simple(event: str = "ReviewImage", **data: Any) -> Report:
    body = {"code": 0, "data": {"event": event, "trace_id": "t1", "url": "u", **data}, "message": "success"}
    return parse(json.dumps(body).encode()).details[0].report


def detail(event: str = "ReviewVideo", **fields: Any) -> Report:
    body = {"EventName": event, "JobsDetail": {"JobId": "r1", "State": "Success", **fields}}
    return parse(json.dumps(body).encode()).details[0].report


def verdict(report: Report) -> Verdict | None:
    return report.result.verdict if report.result else None


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (detail(Label="Porn", Result=1, Score=98), ("Porn", 1, 98)),
        (detail(Label="Normal", Suggestion=0), ("Normal", 0, None)),
        (detail(Label="Ads", Result="2", Score="71"), ("Ads", 2, 71)),
        (detail(Label="Normal", Result=0, PornInfo={"HitFlag": 0, "Score": 3}), ("Normal", 0, 3)),
        (
            detail(Label="Ads", Result=1, Snapshot=[{"AdsInfo": {"HitFlag": 1, "Score": 80}}]),
            ("Ads", 1, 80),
        ),
        (detail(Label="Ads", Suggestion=1, Labels={"AdsInfo": {"HitFlag": 1, "Score": 90}}), ("Ads", 1, 90)),
        (simple(result=0, porn_info={"hit_flag": 0, "label": "", "score": 9}), ("Normal", 0, 9)),
        (simple(result=1, porn_info={"hit_flag": 1, "label": "", "score": 99}), ("Porn", 1, 99)),
        (
            simple(result=1, ads_info={"hit_flag": 0, "score": 40}, porn_info={"hit_flag": 1, "score": 20}),
            ("Porn", 1, 20),
        ),
        (simple(result=2, terrorist_info={"hit_flag": 1, "score": 70}), ("Terrorism", 2, 70)),
        (simple("ReviewText", result=0, porn_info={"hit_flag": 0, "count": 0}), ("Normal", 0, None)),
    ],
)
def test_label_suggestion_and_score(report: Report, expected: tuple[Any, ...]) -> None:
    """CI's own where they are given, else those of the scene with the worst finding."""
    label, suggestion, score = expected
    assert verdict(report) == Verdict(label=label, suggestion=suggestion, score=score)


def test_the_findings_of_a_review_are_its_result() -> None:
    """Without the fields that the record has elsewhere, and without the headers of the request."""
    report = detail(Label="Ads", Result=1, Object="a.mp4", CosHeaders={"x-cos-meta-id": "secret"})
    assert report.result is not None
    assert (report.result.kind, report.result.data) == ("ReviewVideo", {"Label": "Ads", "Result": "1"})


def test_a_verdict_stays_where_its_findings_are_too_long() -> None:
    """A film has thousands of pictures, and one verdict."""
    picture = {"Url": "u" * 100, "AdsInfo": {"HitFlag": 1, "Score": 80}}
    report = detail(Label="Ads", Result=1, Snapshot=[picture] * 1000)
    assert report.result is not None and report.result.data is None
    assert verdict(report) == Verdict(label="Ads", suggestion=1, score=80)


def test_a_review_without_findings_has_no_verdict() -> None:
    assert verdict(simple()) is None
    assert verdict(detail()) is None
