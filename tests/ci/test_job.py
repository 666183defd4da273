"""The normalized values themselves: rank, digest, frozenness."""

import pytest
from msgspec.structs import replace

from app.ci.incoming.payload import parse
from app.ci.report import TERMINAL, Input, Output, Report, Template, Workflow, digest_of, rank
from tests.ci.samples import event, to_json, voice_separate, xml


def test_states_rank_as_a_job_goes_on() -> None:
    """Unknown, submitted, running or paused, terminal."""
    assert [rank(state) for state in (None, "", "Odd", "Submitted", "Running", "Pause")] == [0, 0, 0, 1, 2, 2]
    assert {rank(state) for state in TERMINAL} == {3}


def test_a_report_cannot_be_changed() -> None:
    """It is what was said at one time."""
    with pytest.raises(AttributeError):
        Report(job_id="j1").state = "Failed"  # type: ignore[misc]


def test_the_same_news_has_the_same_digest_from_every_source() -> None:
    """128 bits, in hex, the same for both formats."""
    body = event(voice_separate())
    digests = {parse(body).details[0].report.digest for body in (xml(body), to_json(body))}
    assert {len(digest) for digest in digests} == {32}
    assert len(digests) == 1


def test_the_digest_of_a_report_never_changes() -> None:
    """It is part of event ids: after an upgrade a known report must still be a duplicate."""
    assert Report(job_id="j1", state="Success").digest == "d4bbbc55ca585756c160c375da4e9aa0"


def test_the_digest_of_a_report_with_every_field_is_fixed() -> None:
    """Whatever a text holds: quotes, names of our own fields, control characters, any plane of Unicode."""
    report = Report(
        job_id="j1!#~",
        tag='Voice"Separate\\',
        state="Success",
        terminal=True,
        progress=100,
        code="Success",
        message="录音\n\t\x7f\u2028\U0001f600/\ufffd \x01\x1f\b\f",
        created_at="2022-06-27T07:23:10Z",
        started_at="2022-06-27T07:23:10.123Z",
        ended_at="2022-06-27T07:23:20Z",
        queue_id="p1",
        queue_type="Speeching",
        input=Input(bucket="b-1", region="r", object="录音.mp3", url='https://x/?a="size":null'),
        template=Template(id="t1", name="n"),
        outputs=(
            Output(
                role="vocals",
                bucket="b-1",
                region="r",
                object='a,"size":null,"etag":null,"url":null}',
                md5="m",
            ),
            Output(object="b"),
        ),
        user_data=',"outputs_ok":null',
        job_level=0,
        workflow=Workflow(run_id="i", id="w", name="n", node="s"),
    )
    assert report.digest == digest_of(report.to_json()) == "feb558321f37eeaed9690a2144e80011"


def test_another_report_has_another_digest() -> None:
    """Every field that CI reports counts."""
    report = parse(xml(event(voice_separate(Progress="5")))).details[0].report
    changed = [
        replace(report, **{name: () if name == "outputs" else None})
        for name in Report.__struct_fields__
        if getattr(report, name)
    ]
    assert len({one.digest for one in [report, *changed]}) == len(changed) + 1


def test_fields_that_we_add_do_not_change_the_digest() -> None:
    """Size, ETag and presigned URL of an output, and whether the outputs are there."""
    said = Report(job_id="j1", outputs=(Output(object="a"),))
    ours = Report(
        job_id="j1", outputs=(Output(object="a", size=1, etag="e", url="https://x"),), outputs_ok=True
    )
    assert said.digest == ours.digest
