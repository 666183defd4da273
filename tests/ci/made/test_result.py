"""What a job found out: CI's own node, within bounds."""

from collections.abc import Callable
from typing import Any

import pytest

from app.ci.incoming.made.result import MAX_DATA, result
from app.ci.incoming.payload import Refused, parse
from app.ci.report import JobResult, Report, digest_of
from tests.ci.samples import Dialect, to_json, xml


def data(node: Any) -> Any:
    found = result({}, {"OddResult": node}, None)
    return found.data if found else None


def test_it_reads_as_xml_has_it() -> None:
    """Scalars are text, empty nodes are left out, a single node is no list, and names are sorted."""
    node: dict[str, Any] = {
        "b": 1,
        "a": True,
        "c": None,
        "d": "-",
        "e": [{"x": 0.5}],
        "f": [1, None, "2"],
        "g": {"h": ""},
    }
    assert data(node) == {"a": "true", "b": "1", "e": {"x": "0.5"}, "f": ["1", "2"]}
    assert list(data(node)) == ["a", "b", "e", "f"]


def test_an_empty_one_is_none() -> None:
    """Where CI has said nothing yet."""
    nothing: list[Any] = [None, "", {}, [], {"a": None}, [{}, {}]]
    assert [data(node) for node in nothing] == [None] * 6


def test_files_are_no_result() -> None:
    """MediaResult is in ``outputs``."""
    assert result({}, {"MediaResult": {"OutputFile": {"ObjectName": "a"}}}, "Transcode") is None


def test_the_tags_own_node_wins() -> None:
    """The table names it; of others, the first by name."""
    both = {"AResult": {"x": "1"}, "VideoTagResult": {"y": "2"}}
    assert result({}, both, "VideoTag") == JobResult(kind="VideoTagResult", data={"y": "2"})
    assert result({}, both, "Unheard") == JobResult(kind="AResult", data={"x": "1"})


def test_a_result_beside_the_operation_is_found() -> None:
    """CI's pages misplace some."""
    assert result({"DnaResult": {"VideoId": "v"}}, {}, "DNA") == JobResult(
        kind="DnaResult", data={"VideoId": "v"}
    )


def test_a_long_result_is_null_and_stays_in_raw() -> None:
    """64 KiB of JSON, counted in bytes, escapes included."""
    for letter, width in (("a", 1), ("é", 2), ('"', 2)):
        room = (MAX_DATA - len('{"t":""}')) // width
        assert data({"t": letter * room}) == {"t": letter * room}
        assert data({"t": letter * (room + width)}) is None
    assert data([{"x": "1"}] * 20_000) is None


def test_a_job_without_either_has_the_digest_that_it_had_before() -> None:
    """Old records lack both fields; the same content keeps its identity."""
    old = {"job_id": "j1", "tag": "Snapshot", "state": "Running"}
    report = Report.from_dict(old)
    earlier = report.to_json().replace(b',"media":null,"result":null', b"")
    assert earlier != report.to_json()
    assert report.digest == digest_of(earlier)


def test_the_result_is_part_of_the_digest() -> None:
    """Another result has another digest."""
    one, other = (Report(job_id="j1", result=JobResult(kind="k", data={"t": text})) for text in "ab")
    assert len({one.digest, other.digest, Report(job_id="j1").digest}) == 3


@pytest.mark.parametrize("empty", ["node", "text", "dash"])
@pytest.mark.parametrize("write", [xml, to_json])
def test_a_body_that_gives_only_the_form_is_a_probe(write: Callable[..., bytes], empty: str) -> None:
    """Some of CI's pages print every node of a callback and no value; that says nothing of any job."""
    jobs = {"JobsDetail": {"JobId": None, "State": None, "Input": {"Object": None}}}
    runs = {"WorkflowExecution": {"RunId": None, "State": None, "Tasks": [{"JobId": None}, {"JobId": None}]}}
    for body in (jobs, runs):
        assert parse(write(body, Dialect(empty=empty))).kind == "probe"


def test_a_job_with_any_value_is_no_probe() -> None:
    """Without an id it is refused, so that it is not lost."""
    with pytest.raises(Refused):
        parse(to_json({"JobsDetail": {"JobId": "", "State": "Success"}}))
