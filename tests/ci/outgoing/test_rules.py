"""The rules that hold for every tag, and how a rule is let through."""

from typing import Any

import pytest

from app.ci.outgoing import facts
from app.ci.outgoing.request import Defaults
from app.ci.outgoing.rules.broken import MAY_PASS, WARNINGS
from tests.ci.requests import DEFAULTS, GOOD, broken, request, violations, voice

GOOD_OPERATION = {"tag": "VoiceSeparate"} | {name: GOOD[name] for name in ("voice_separate", "output")}


def test_a_good_request_breaks_nothing() -> None:
    """Defaults fill bucket and region."""
    assert broken(request()) == []


def test_errors_come_before_warnings() -> None:
    """The first thing that is read is what stops the request."""
    found = broken(request(output={"object": "${x}"}, job_level=7))
    assert [b.severity for b in found] == ["error", "warning", "warning"]


def test_the_input_is_required_and_so_is_its_host() -> None:
    """Bucket and region come from the request or from the settings."""
    made = request(input={})
    assert violations(made, Defaults()) == {(f"input.{f}", "missing") for f in ("object", "bucket", "region")}


@pytest.mark.parametrize("tag", ["Tts", "FileCompress"])
def test_tags_without_an_input_file_need_no_input(tag: str) -> None:
    """CI's own requests for these tags have none."""
    flat = {"voice_separate": None, "output": None}
    made = request(tag=tag, input={}, operation={"TtsConfig": {"Input": "hello"}}, **flat)
    assert broken(made) == []
    both = request(tag=tag, input={}, operations=[{"Tag": tag, "A": "b"}, GOOD_OPERATION], **flat)
    assert violations(both) == {("input.object", "missing")}


def test_without_an_input_other_tags_are_doubtful() -> None:
    """CI documents no list of the tags that need one."""
    made = request(
        tag="Transcode", input={}, operation={"TemplateId": "t1"}, voice_separate=None, output=None
    )
    assert violations(made) == {("input.object", "no_input")}
    assert broken(made)[0].severity == "warning"


@pytest.mark.parametrize("tag", ["", " ", "\t\n"])
def test_a_tag_is_required(tag: str) -> None:
    """A blank one counts as missing, in any place; no other field is reported because of it."""
    assert violations(request(tag=tag)) == {("tag", "missing")}
    assert violations(request(tag=tag, voice_separate=None, output=None)) == {("tag", "missing")}
    flat = {"voice_separate": None, "output": None}
    made = request(**flat, operations=[GOOD_OPERATION, GOOD_OPERATION | {"tag": tag}, {"Tag": tag, "A": "b"}])
    assert violations(made) == {("operations.1.tag", "missing"), ("operations.2.tag", "missing")}


FLAT = {"voice_separate": None, "output": None}


def test_every_place_of_a_bucket_needs_its_appid() -> None:
    """The settings' default, a raw Output, an entry of several: each goes into a host name or into CI's hands."""
    assert violations(request(), Defaults(bucket="demo", region="ap-chongqing")) == {
        ("input.bucket", "bucket_appid")
    }
    raw = {"TemplateId": "t1", "Output": {"Bucket": "demo", "Region": "ap-chongqing", "Object": "o"}}
    made = request(tag="Transcode", operation=raw, **FLAT)
    assert violations(made) == {("operation.Output.Bucket", "bucket_appid")}
    several = request(operations=[GOOD_OPERATION | {"output": GOOD["output"] | {"bucket": "demo"}}], **FLAT)
    assert violations(several) == {("operations.0.output.bucket", "bucket_appid")}
    assert ("allow.0", "allow") in violations(request(allow=["bucket_appid"]))


@pytest.mark.parametrize("tag", ["MediaInfo", "ImageInspect"])
@pytest.mark.parametrize("more", [{}, {"operation": {}}, {"user_data": "x"}], ids=repr)
def test_some_tags_need_no_operation(tag: str, more: dict[str, Any]) -> None:
    """The page of MediaInfo says that it is not required."""
    assert broken(request(tag=tag, **FLAT, **more)) == []


@pytest.mark.parametrize("tag", sorted(facts.NEEDS_OPERATION))
def test_tags_that_write_a_file_need_an_operation(tag: str) -> None:
    """Only the operation can name the output."""
    assert violations(request(tag=tag, **FLAT)) == {("operation", "missing")}


def test_without_an_operation_an_unknown_tag_is_doubtful() -> None:
    """It may be one that needs none."""
    made = request(tag="Nonsense", **FLAT)
    assert violations(made) == {("operation", "no_operation")}
    assert broken(made)[0].severity == "warning"


def test_an_input_url_is_doubtful() -> None:
    """Seen in use, not documented for this tag."""
    assert violations(request(input={"url": "https://example.com/a.mp3"})) == {("input.url", "input_url")}


@pytest.mark.parametrize("region", ["ap-guangzhou", "eu-frankfurt"])
def test_known_regions_pass(region: str) -> None:
    """Tencent's list of 2024."""
    assert broken(request(input={"object": "a.mp3", "region": region})) == []


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ({"region": "ap-atlantis"}, "region"),
        ({"region": "ap-chongqing.evil.com"}, "region_name"),
        ({"region": "ap-chongqing/"}, "region_name"),
        ({"region": "AP-CHONGQING"}, "region_name"),
        ({"region": "ap-chongqing\n"}, "region_name"),
        ({"region": "0"}, "region_name"),
        ({"bucket": "demo"}, "bucket_appid"),
        ({"bucket": "demo_1-1250000000"}, "bucket"),
        ({"bucket": "evil.com/demo-1"}, "bucket"),
        ({"bucket": "-demo-1"}, "bucket"),
        ({"bucket": "d" * 80 + "-1"}, "bucket"),
    ],
)
@pytest.mark.parametrize("part", ["input", "output"])
def test_names_of_hosts_are_checked(part: str, where: dict[str, str], word: str) -> None:
    """Bucket and region become a host name, and a bucket is BucketName-APPID. An unknown region may be a new one."""
    (field,) = where
    found = broken(request(**{part: GOOD[part] | where}))
    assert [(b.field, b.word) for b in found] == [(f"{part}.{field}", word)]
    assert found[0].severity == ("warning" if word == "region" else "error")


@pytest.mark.parametrize("data", ["", "This is my data.", "~ !", "x" * 1024])
def test_user_data_may_be_printable_ascii(data: str) -> None:
    """Up to 1024 characters."""
    assert broken(request(user_data=data)) == []


@pytest.mark.parametrize("data", ["x" * 1025, "数据", "a\nb", "a\tb", "\x7f", "a\n", "é"])
def test_other_user_data_is_an_error(data: str) -> None:
    """CI documents printable ASCII, at most 1024."""
    assert violations(request(user_data=data)) == {("user_data", "user_data")}


@pytest.mark.parametrize("level", [0, 1, 2, "0", "2"])
def test_job_levels_are_three(level: Any) -> None:
    """As number or as text."""
    assert broken(request(job_level=level)) == []


@pytest.mark.parametrize("level", [3, -1, "high", "", "00"])
def test_other_job_levels_are_errors(level: Any) -> None:
    """CI knows 0, 1 and 2."""
    assert violations(request(job_level=level)) == {("job_level", "job_level")}


def test_keys_have_cos_limits() -> None:
    """850 bytes of UTF-8, and a leading slash is part of the name."""
    assert violations(request(input={"object": "数" * 283 + "a"})) == set()
    assert violations(request(input={"object": "数" * 284})) == {("input.object", "key_length")}
    assert violations(request(input={"object": "/a.mp3"})) == {("input.object", "leading_slash")}


@pytest.mark.parametrize("char", ["\x00", "\x08", "\x0b", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff"])
def test_characters_invalid_in_xml_are_refused(char: str) -> None:
    """Not replaced, not dropped: the caller would get something else than was asked for."""
    assert violations(request(input={"object": f"a{char}.mp3"})) == {("input.object", "xml_char")}
    assert ("labels.a", "xml_char") in violations(request(labels={"a": char}))
    assert ("operation.A.B.0", "xml_char") in violations(request(tag="X", operation={"A": {"B": [char]}}))


@pytest.mark.parametrize("char", ["\t", "\n", "\r", "\x85", "\u2028", "𝄞", "数", "&", "<", "]]>", "\ufffd"])
def test_characters_valid_in_xml_pass(char: str) -> None:
    """Everything else, markup included, is a name like any other."""
    assert broken(request(input={"object": f"a{char}.mp3"})) == []


def test_ids_have_sane_lengths() -> None:
    """CI's ids have 33 characters; a longer field would be stored for nothing."""
    long = "x" * 129
    assert violations(request(template_id=long, queue_id=long, voice_separate=None)) == {
        ("template_id", "length"),
        ("queue_id", "length"),
    }


def test_labels_are_few_and_short() -> None:
    """Each is an index: at most sixteen, with names of few signs, values of at most 128."""
    assert violations(request(labels={"k": "v" * 128, "a-z.0_9": "ü", "x" * 32: ""})) == set()
    assert violations(request(labels={"k": "v" * 129})) == {("labels.k", "length")}
    assert violations(request(labels={f"k{n}": "v" for n in range(16)})) == set()
    assert violations(request(labels={f"k{n}": "v" for n in range(17)})) == {("labels", "length")}
    for name in ("", "x" * 33, "Show", "a b", "a=b", "é", "a/b", "a\n"):
        assert violations(request(labels={name: "v"})) == {(f"labels.{name}", "label_name")}


def test_a_deadline_is_of_seconds() -> None:
    """Of one to ninety days' worth."""
    assert (
        violations(request(deadline=1))
        == violations(request(deadline="90.5"))
        == violations(request(deadline=7_776_000))
        == set()
    )
    for wrong in (0, -1, 7_776_001, "0.5"):
        assert violations(request(deadline=wrong)) == {("deadline", "deadline")}


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (voice(codec="opus"), "codec"),
        (voice(codec="opus", samplerate=44100), "codec"),
        (voice("Karaoke"), "audio_mode"),
        (voice(samplerate=16000), "samplerate"),
        (voice(channels=3), "channels"),
        (voice(bitrate=2000), "bitrate"),
        (request(job_level=3), "job_level"),
        (request(input={"object": "a.mp3", "region": "ap-atlantis"}), "region"),
        (request(callback_type="Kafka"), "callback_type"),
        (request(callback="http://10.0.0.1/"), "private_callback"),
        (
            request(callback_type="TDMQ", callback_mq_config={"mq_region": "nj", "mq_name": "q"}),
            "mq_region",
        ),
        (request(output={"object": "${x}", "au_object": "a"}), "wildcard"),
    ],
)
def test_a_possibly_new_value_can_be_allowed(made: Any, word: str) -> None:
    """A codec or region that CI has added since does not wait for a release of ours."""
    assert {b.word for b in broken(made)} == {word}
    assert broken(made.model_copy(update={"allow": (word,)})) == []


def test_only_its_own_rule_is_let_through() -> None:
    """Letting one rule through hides no other."""
    made = voice(codec="opus", bitrate=1).model_copy(update={"allow": ("codec",)})
    assert {b.word for b in broken(made)} == {"bitrate"}


@pytest.mark.parametrize(
    "word", ["user_data", "xml_char", "missing", "output_empty", "bucket", "everything", ""]
)
def test_a_rule_that_cannot_be_suppressed_is_named(word: str) -> None:
    """A word that does nothing would be believed to do something."""
    assert violations(request(allow=[word])) == {("allow.0", "allow")}
    made = request(allow=[word], user_data="ü", input={})
    assert {"user_data", "missing", "allow"} <= {b.word for b in broken(made)}


def test_every_warning_may_be_let_through() -> None:
    """A warning is doubt of ours, and the caller may know better."""
    assert WARNINGS < MAY_PASS


def test_other_tags_pass_with_a_raw_operation() -> None:
    """Its content is CI's to check; what holds for every tag is checked in it too."""
    raw = {
        "TemplateId": "t1",
        "Output": {"Object": "a.${x}", "Bucket": "b_ad", "Region": "ap-tokyo"},
        "UserData": "ü",
    }
    assert violations(request(tag="Transcode", operation=raw, voice_separate=None, output=None)) == {
        ("operation.Output.Bucket", "bucket"),
        ("operation.UserData", "user_data"),
    }


def test_other_tags_need_an_operation() -> None:
    """CI would have no work without an operation; and voice_separate is for one tag only."""
    assert violations(request(tag="Transcode", voice_separate=None, output=None)) == {
        ("operation", "missing")
    }
    assert violations(request(tag="Transcode")) == {("voice_separate", "voice_separate")}


def test_a_raw_voice_separate_is_checked_like_a_typed_one() -> None:
    """The same rules, at the paths under which the caller wrote it."""
    raw = {
        "VoiceSeparate": {"AudioMode": "IsAudio", "AudioConfig": {"Codec": "ogg", "Bitrate": 4}},
        "JobLevel": 9,
    }
    made = request(operation=raw | {"Output": {"Object": "a"}}, voice_separate=None, output=None)
    assert violations(made) == {
        ("operation.VoiceSeparate.AudioConfig.Codec", "codec"),
        ("operation.VoiceSeparate.AudioConfig.Bitrate", "bitrate"),
        ("operation.JobLevel", "job_level"),
        ("operation.Output.Region", "missing"),
        ("operation.Output.Bucket", "missing"),
        ("operation.Output.AuObject", "output_for_mode"),
        ("operation.Output.Object", "output_unused"),
    }


def test_a_value_may_be_given_only_once() -> None:
    """A typed field beside the same node of the raw operation would be sent twice."""
    assert violations(request(operation={"UserData": "a", "Tag": "X"}, user_data="b")) == {
        ("user_data", "twice"),
        ("operation.Tag", "twice"),
    }


@pytest.mark.parametrize("name", ["", "a b", "1a", "<a>", "a:b", "-", "ü", "x" * 129])
def test_names_of_raw_nodes_are_checked(name: str) -> None:
    """They become names of XML nodes."""
    assert ("operation.Deep", "raw") in violations(request(tag="X", operation={"Deep": {name: "x"}}))


def test_a_list_in_a_list_has_no_form() -> None:
    """A list repeats its node; a list of lists would have nothing to repeat."""
    assert ("operation.A.1", "raw") in violations(request(tag="X", operation={"A": ["x", ["y"]]}))


def test_several_operations_are_each_checked() -> None:
    """Up to six, each at its own path, and nothing beside the list."""
    good = {k: GOOD[k] for k in ("voice_separate", "output")}
    flat = {"voice_separate": None, "output": None}
    assert broken(request(**flat, operations=[good] * 6)) == []
    assert violations(request(**flat, operations=[good] * 7)) == {("operations", "operations_count")}
    assert violations(request(**flat, operations=[])) == {("operations", "operations_count")}
    assert violations(request(voice_separate=None, operations=[good])) == {("output", "operations_exclusive")}
    assert violations(
        request(**flat, operations=[good, good | {"job_level": 5}, {"Tag": "X", "UserData": "ü"}])
    ) == {
        ("operations.1.job_level", "job_level"),
        ("operations.2.operation.UserData", "user_data"),
    }


def test_the_requests_own_bucket_overrides_the_default() -> None:
    assert DEFAULTS.input(request(input={"object": "a", "bucket": "own-1"})).bucket == "own-1"
    assert DEFAULTS.input(request()).bucket == "demo-1250000000"
