"""What a job made is in its record, for every tag, in whatever form CI says it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ci.incoming.made.nodes import TAGS
from app.ci.incoming.payload import parse, parse_answer
from app.ci.report import Report
from tests.ci.incoming.test_twins import dialects
from tests.ci.made.payloads import CASES, job
from tests.ci.samples import Dialect, event, to_json, xml


def reports(body: Any, *ways: Dialect) -> list[Report]:
    """A callback's reports in these dialects, as XML and as JSON, and the one of CI's own answer."""
    written = [write(body, way) for way in ways for write in (xml, to_json)]
    answer = xml({"JobsDetail": body["JobsDetail"]})
    return [parse(each).details[0].report for each in written] + [parse_answer(answer).details[0].report]


def test_the_payloads_here_have_every_tag_of_the_table() -> None:
    """A new tag needs one too."""
    assert TAGS.keys() <= CASES.keys()


@pytest.mark.parametrize("tag", CASES)
def test_the_record_says_what_the_job_made(tag: str) -> None:
    """Its files, what CI knows of them, and what the job found out."""
    case = CASES[tag]
    report = reports(event(job(tag)), Dialect())[0]
    assert tuple((each.role, each.object) for each in report.outputs) == case.files
    assert {(each.bucket, each.region) for each in report.outputs} <= {("films-1250000000", "ap-chongqing")}
    assert (report.media is not None) == case.media
    assert (report.result.kind if report.result else None) == case.kind


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CASES)), dialects, dialects)
def test_it_is_the_same_record_in_any_form(tag: str, one: Dialect, other: Dialect) -> None:
    """XML or JSON, wrapped, arrayed, typed, shuffled; a callback or CI's answer."""
    first, *rest = reports(event(job(tag)), one, other)
    assert {each.to_json() for each in rest} == {first.to_json()}
    assert {each.digest for each in rest} == {first.digest}


@pytest.mark.parametrize("tag", [tag for tag, made in TAGS.items() if made.result and tag != "MediaInfo"])
def test_a_job_without_a_tag_is_known_by_its_result(tag: str) -> None:
    """CI sends some WordsGeneralize callbacks with neither Tag nor State."""
    if CASES[tag].kind is None:
        pytest.skip(f"CI publishes no result of {tag}")
    report = reports(event(job(tag, Tag=None, State=None)), Dialect())[0]
    assert (report.tag, report.state) == (tag, None)
    assert report.result is not None and report.result.kind == CASES[tag].kind


def test_nodes_of_several_tags_determine_no_tag() -> None:
    """A guess is no tag."""
    both = {"VideoTagResult": {"A": "1"}, "DnaResult": {"B": "2"}}
    assert reports(event(job("VideoTag", Tag=None, Operation=both)), Dialect())[0].tag == "TaskFinish"


@pytest.mark.parametrize("tag", ["NoiseReduction", "Translation", "SpeechRecognition", "PicProcess"])
@pytest.mark.parametrize(
    ("state", "key", "made"),
    [
        ("Success", "out/made.txt", ["out/made.txt"]),
        ("Success", "out/${JobId}.txt", ["out/j0123456789abcdef0123456789abcdef.txt"]),
        ("Success", "out/made.${ext}", []),
        ("Success", None, []),
        ("Failed", "out/made.txt", []),
        ("Running", "out/made.txt", []),
    ],
)
def test_a_file_that_ci_never_reports_is_the_one_that_was_asked_for(
    tag: str, state: str, key: str | None, made: list[str]
) -> None:
    """Once the job is a success, and if its name is known."""
    operation = {"Output": {"Bucket": "b", "Region": "r", "Object": key}}
    report = reports(event(job(tag, State=state, Operation=operation)), Dialect())[0]
    assert [each.object for each in report.outputs] == made


def test_a_page_at_an_address_is_no_file_of_ours() -> None:
    """Outputs are objects in a bucket."""
    result = {"PageInfo": [{"TgtUri": "https://elsewhere.example/p.jpg"}, {"TgtUri": "out/p.jpg"}]}
    report = reports(event(job("DocProcess", Operation={"DocProcessResult": result})), Dialect())[0]
    assert [each.object for each in report.outputs] == ["out/p.jpg"]
