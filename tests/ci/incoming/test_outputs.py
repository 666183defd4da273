"""The files of a job: what CI reports, with its MD5 and, for VoiceSeparate, its role, all by name."""

import time
from typing import Any

import pytest

from app.ci.incoming.payload import Refused, parse
from app.ci.report import Output
from tests.ci.samples import event, to_json, voice_separate, xml


def outputs(
    operation: dict[str, Any], tag: str = "Snapshot", job_id: str = "j1", **detail: Any
) -> tuple[Output, ...]:
    body = event({"JobId": job_id, "Tag": tag, "Operation": operation, **detail})
    from_json = parse(to_json(body)).details[0].report.outputs
    assert parse(xml(body)).details[0].report.outputs == from_json
    return from_json


def objects(operation: dict[str, Any]) -> list[str]:
    return [output.object for output in outputs(operation)]


def roles(asked: dict[str, str], *names: str, **detail: Any) -> list[str | None]:
    operation = {"Output": asked, "MediaResult": {"OutputFile": {"ObjectName": list(names)}}}
    return [output.role for output in outputs(operation, tag="VoiceSeparate", **detail)]


def test_there_are_none_before_ci_reports_any() -> None:
    """Operation.Output is only the request; it is never an output of the record."""
    assert outputs({"Output": {"Bucket": "b", "Object": "a"}}) == ()
    assert outputs({"Output": {"Object": "a"}, "MediaResult": None}) == ()
    assert outputs({"PicProcessResult": {"ObjectName": "a"}}) == ()


def test_the_key_is_the_prefix_and_the_name() -> None:
    """One or many names, a leading slash taken off."""
    file = {"ObjectPrefix": "/out/shot-", "ObjectName": ["0.jpg", "1.jpg"]}
    assert objects({"MediaResult": {"OutputFile": file}}) == ["out/shot-0.jpg", "out/shot-1.jpg"]
    assert objects({"MediaResult": {"OutputFile": {"ObjectName": "/a.jpg"}}}) == ["a.jpg"]
    assert objects({"MediaResult": {"OutputFile": [{"ObjectName": "a"}, {"ObjectName": "b"}]}}) == ["a", "b"]


def test_a_slash_that_was_asked_for_is_the_keys_own() -> None:
    """To COS `/a` and `a` are two objects: if the request named `/a`, the output's key is `/a`."""
    asked = {"Object": "/out/b.mp3", "AuObject": "/out/${jobid}.mp3"}
    files = {
        "ObjectName": ["/out/b.mp3", "/out/j1.mp3"],
        "Md5Info": [{"ObjectName": "/out/b.mp3", "Md5": "m"}],
    }
    operation = {"Output": asked, "MediaResult": {"OutputFile": files}}
    found = outputs(operation, tag="VoiceSeparate")
    assert [(one.object, one.role, one.md5) for one in found] == [
        ("/out/b.mp3", "background", "m"),
        ("/out/j1.mp3", "vocals", None),
    ]


def test_sprites_come_last() -> None:
    """Snapshot reports them inside the file, in a place of their own or the file's."""
    sprite = {"Bucket": "other", "ObjectName": "0.jpg", "ObjectPrefix": "sprite-", "Md5Info": None}
    file = {"Bucket": "b", "Region": "r", "ObjectName": ["0", "1"], "SpriteOutputFile": sprite}
    found = outputs({"MediaResult": {"OutputFile": file}})
    assert [(output.object, output.bucket, output.region) for output in found] == [
        ("0", "b", "r"),
        ("1", "b", "r"),
        ("sprite-0.jpg", "other", "r"),
    ]
    assert objects({"MediaResult": {"SpriteOutputFile": {"ObjectName": "s"}}}) == ["s"]


def test_the_place_is_the_reports_else_the_requests() -> None:
    """Bucket and region of OutputFile, each else that of Operation.Output."""
    asked = {"Bucket": "b0", "Region": "r0"}
    first = outputs({"Output": asked, "MediaResult": {"OutputFile": {"Bucket": "b1", "ObjectName": "a"}}})[0]
    assert (first.bucket, first.region) == ("b1", "r0")


def test_md5_is_matched_by_name_never_by_position() -> None:
    """With or without prefix and leading slash, in any order, missing where CI gives none."""
    infos = [{"ObjectName": "2.jpg", "Md5": "m2"}, {"ObjectName": "p/1.jpg", "Md5": "m1"}, {"Md5": "m0"}]
    file = {"ObjectPrefix": "/p/", "ObjectName": ["0.jpg", "1.jpg", "2.jpg"], "Md5Info": infos}
    assert [output.md5 for output in outputs({"MediaResult": {"OutputFile": file}})] == [None, "m1", "m2"]
    one = {"ObjectName": "/a", "Md5Info": {"ObjectName": "a", "Md5": "m"}}
    assert outputs({"MediaResult": {"OutputFile": one}})[0].md5 == "m"


FOUR = {"Object": "o/bg.mp3", "AuObject": "o/v.mp3", "BassObject": "o/b.mp3", "DrumObject": "o/d.mp3"}


def test_roles_follow_from_names() -> None:
    """In whatever order the four files of music mode are reported."""
    assert roles(FOUR, "o/d.mp3", "o/v.mp3", "o/b.mp3", "o/bg.mp3") == [
        "drums",
        "vocals",
        "bass",
        "background",
    ]
    assert roles(FOUR, "/o/v.mp3", "o/other.mp3", "o/V.mp3") == ["vocals", None, None]
    assert roles({"AuObject": "/o/v.mp3"}, "o/v.mp3") == ["vocals"]
    assert roles({}, "o/v.mp3") == [None]


def test_the_prefix_is_part_of_the_name() -> None:
    """The role is that of the whole key."""
    file = {"ObjectPrefix": "o/", "ObjectName": ["v.mp3", "bg.mp3"]}
    found = outputs({"Output": FOUR, "MediaResult": {"OutputFile": file}}, tag="VoiceSeparate")
    assert [output.role for output in found] == ["vocals", "background"]


def test_other_tags_have_no_roles() -> None:
    """Object and AuObject mean this only to VoiceSeparate."""
    operation = {"Output": FOUR, "MediaResult": {"OutputFile": {"ObjectName": "o/v.mp3"}}}
    assert [output.role for output in outputs(operation, tag="Transcode")] == [None]


def test_wildcards_are_filled_in() -> None:
    """The job's id and, with no regard to case, an extension that only CI knows."""
    asked = {"Object": "o/${jobid}-bg.${ext}", "AuObject": "o/${JobId}-v.${Ext}"}
    assert roles(asked, "o/j1-v.aac", "o/j1-bg.aac") == ["vocals", "background"]
    assert roles(asked, "o/j2-v.aac", "o/j1-v.", "o/j1-v.a/c", "x/o/j1-v.aac") == [None] * 4
    assert roles({"AuObject": "o/${RunId}.mp3"}, "o/i9.mp3", "o/i8.mp3", Workflow={"RunId": "i9"}) == [
        "vocals",
        None,
    ]


def test_an_exact_name_comes_before_a_pattern() -> None:
    """Of two patterns that match, the one with more fixed text decides."""
    asked = {
        "Object": "o/${ext}",
        "AuObject": "o/v.mp3",
        "BassObject": "o/a.${ext}",
        "DrumObject": "o/a.b.${ext}",
    }
    assert roles(asked, "o/v.mp3", "o/a.mp3", "o/a.b.mp3", "o/z") == ["vocals", "bass", "drums", "background"]


def test_wildcards_that_we_do_not_know_fit_anything_but_a_slash() -> None:
    """Workflows have more of them than VoiceSeparate documents."""
    asked = {
        "Object": "${InputPath}/${InputName}_bg.${ext}",
        "AuObject": "${InputPath}/${InputName}_v.${ext}",
    }
    assert roles(asked, "in/tune_v.mp3", "in/tune_bg.mp3", "in/x/tune_v.mp3") == [
        "vocals",
        "background",
        None,
    ]
    assert roles({"Object": "${a}${b}x${c}"}, "12x3", "1x3", "12x", "123") == ["background", None, None, None]


def test_a_name_is_text_not_a_pattern() -> None:
    """What means something in a regular expression or a glob means itself here."""
    assert roles({"Object": "o/(a+)+*[x]?.${ext}"}, "o/(a+)+*[x]?.mp3", "o/aa.mp3") == ["background", None]


def test_matching_takes_little_time_whatever_is_asked_for() -> None:
    """A regular expression would backtrack without end."""
    started = time.thread_time()
    assert roles({"Object": "${a}a" * 200 + "b"}, "a" * 50_000, "a" * 49_999 + "b") == [None, "background"]
    assert roles({"Object": "/${a}" * 200}, "/" * 50_000, "b" * 50_000) == [None, None]
    assert roles({"Object": "${a}a" * 5_000 + "b"}, "a" * 49_999 + "b") == [None]
    assert time.thread_time() - started < 5


@pytest.mark.parametrize("names", [["out/voice.mp3", "out/rest.mp3"], ["out/rest.mp3", "out/voice.mp3"]])
def test_the_whole_sample_keeps_files_and_sums_together(names: list[str]) -> None:
    """Role and MD5 follow the name when the order changes."""
    detail = voice_separate()
    detail["Operation"]["MediaResult"]["OutputFile"]["ObjectName"] = names
    found = {output.role: output.md5 for output in parse(xml(event(detail))).details[0].report.outputs}
    assert found == {"vocals": "0" * 31 + "a", "background": "0" * 31 + "b"}


GROWTH = {
    "a long prefix": {"ObjectPrefix": "p" * 400_000, "ObjectName": ["x"] * 50_000},
    "a long bucket": {"Bucket": "b" * 400_000, "ObjectName": ["x"] * 50_000},
    "a long region": {"Region": "r" * 400_000, "ObjectName": ["x"] * 50_000},
    "a long MD5": {"Md5Info": {"ObjectName": "x", "Md5": "m" * 400_000}, "ObjectName": ["x"] * 50_000},
    "just too many": {"ObjectName": ["x"] * 90_000},
}


@pytest.mark.parametrize("file", GROWTH.values(), ids=GROWTH.keys())
def test_a_small_body_cannot_make_a_huge_record(file: dict[str, Any]) -> None:
    """A prefix counts once for each output: 400 kB before 50,000 names would be 20 GB."""
    body = to_json(event({"JobId": "j1", "Operation": {"MediaResult": {"OutputFile": file}}}))
    started = time.thread_time()
    with pytest.raises(Refused) as caught:
        parse(body)
    assert caught.value.reason == "too_complex"
    assert time.thread_time() - started < 5


def test_many_small_jobs_cannot_make_a_huge_record() -> None:
    """The sum over all jobs of one body counts."""
    file = {"ObjectPrefix": "p" * 5_000, "ObjectName": ["x"] * 1_000}
    jobs = [{"JobId": f"j{n}", "Operation": {"MediaResult": {"OutputFile": file}}} for n in range(100)]
    with pytest.raises(Refused) as caught:
        parse(to_json(event(jobs)))
    assert caught.value.reason == "too_complex"


def test_a_long_event_name_is_cut() -> None:
    """It stands in each job of the body, so that it is cut and not refused."""
    seen = parse(to_json(event([{"JobId": f"j{n}"} for n in range(100)], "e" * 500_000)))
    assert {detail.report.tag for detail in seen.details} == {"e" * 63 + "…"}


def test_wildcards_cannot_make_a_huge_record() -> None:
    """A run's id is filled in only if it is a valid id and the result can be a key."""
    asked = {"Object": "${RunId}" * 50_000, "AuObject": "${RunId}" * 100}
    assert roles(asked, "o/x", Workflow={"RunId": "r" * 400_000}) == [None]


def test_thousands_of_files_are_read() -> None:
    """A snapshot every second of a long film."""
    file = {
        "Bucket": "films-1250000000",
        "ObjectPrefix": "out/film/",
        "ObjectName": [f"{n}.jpg" for n in range(12_000)],
    }
    assert len(outputs({"MediaResult": {"OutputFile": file}})) == 12_000
