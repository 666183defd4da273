"""A ready XML request: read for our record, and sent as it is but for its CallBack."""

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ci.matching.asked import asked
from app.ci.outgoing.request_file import read_xml, with_callback
from app.ci.outgoing.request_xml import render
from app.ci.outgoing.rules.broken import BadRequest
from app.ci.outgoing.rules.rules import check
from tests.ci.requests import DEFAULTS, request

FILE = b"""<?xml version="1.0" encoding="UTF-8"?>
<!-- nightly -->
<Request>
  <Tag>VoiceSeparate</Tag>
  <Input><Object>in/a &amp; b.mp3</Object></Input>
  <Operation>
    <VoiceSeparate><AudioMode>IsAudio</AudioMode><AudioConfig><Codec>mp3</Codec></AudioConfig></VoiceSeparate>
    <Output><Region>ap-tokyo</Region><Bucket>out-1250000000</Bucket><AuObject>v.${ext}</AuObject></Output>
    <UserData>nightly-7</UserData>
    <CallBack>https://inner.example.com/</CallBack>
  </Operation>
  <QueueType>Speeching</QueueType>
  <CallBack>https://old.example.com/?a=1&amp;b=2</CallBack>
</Request>
"""


def test_a_file_is_read_for_our_record() -> None:
    """Bucket, input, outputs and tag are read; the operation itself stays raw."""
    made = read_xml(FILE)
    assert check(made, DEFAULTS) == []
    facts = asked(made, DEFAULTS)
    assert (facts.bucket, facts.region, facts.input_object) == (
        "demo-1250000000",
        "ap-chongqing",
        "in/a & b.mp3",
    )
    assert facts.callback == "foreign"
    (operation,) = facts.operations
    assert (operation.tag, operation.audio_mode, operation.user_data) == (
        "VoiceSeparate",
        "IsAudio",
        "nightly-7",
    )
    (output,) = operation.outputs
    assert (output.role, output.bucket, output.region) == ("vocals", "out-1250000000", "ap-tokyo")
    assert output.object == "v.${ext}"


def test_the_rules_hold_for_a_file_too() -> None:
    """An error names CI's own path, which the file's author wrote."""
    found = check(read_xml(FILE.replace(b"<Codec>mp3", b"<Codec>ogg")), DEFAULTS)
    assert [b.field for b in found] == ["operation.VoiceSeparate.AudioConfig.Codec"]


def test_a_rule_can_be_let_through_in_a_file_too() -> None:
    """The file has no field for it: `allow` is given beside it."""
    odd = FILE.replace(b"<Codec>mp3", b"<Codec>ogg")
    assert check(read_xml(odd, allow=["codec"]), DEFAULTS) == []
    assert check(read_xml(odd, allow=["codex"]), DEFAULTS)[0].field == "allow.0"


@pytest.mark.parametrize("tag", [b"", b"<Tag/>", b"<Tag> </Tag>"])
def test_a_file_needs_a_tag(tag: bytes) -> None:
    """For each of its operations: its own, or that of the request."""
    bare = FILE.replace(b"<Tag>VoiceSeparate</Tag>", tag)
    assert [(b.field, b.word) for b in check(read_xml(bare), DEFAULTS)] == [("tag", "missing")]
    operation = FILE[FILE.index(b"<Operation>") : FILE.index(b"</Operation>")] + b"</Operation>"
    several = bare.replace(operation, operation + b"<Operation><Tag>Tts</Tag><A>b</A></Operation>")
    assert [b.field for b in check(read_xml(several), DEFAULTS)] == ["operations.0.tag"]


@pytest.mark.parametrize("operation", [b"", b"<Operation/>", b"<Operation>\n</Operation>"])
def test_a_file_without_an_operation_is_read(operation: bytes) -> None:
    """Its tag decides whether it needs one; an empty node counts as none."""
    bare = b"<Request><Tag>%s</Tag><Input><Object>in/a.mp4</Object></Input>" + operation + b"</Request>"
    assert check(read_xml(bare % b"MediaInfo"), DEFAULTS) == []
    assert [b.word for b in check(read_xml(bare % b"Transcode"), DEFAULTS)] == ["missing"]
    assert {b.field for b in check(read_xml(bare % b"VoiceSeparate"), DEFAULTS)} == {
        "voice_separate",
        "output",
    }
    (operations,) = asked(read_xml(bare % b"MediaInfo"), DEFAULTS).operations
    assert (operations.tag, operations.outputs) == ("MediaInfo", ())


def test_a_file_without_input_is_read() -> None:
    """Tts has none: nothing is made up for our record."""
    made = read_xml(
        b"<Request><Tag>Tts</Tag><Operation><TtsConfig><Input>a</Input></TtsConfig></Operation></Request>"
    )
    assert check(made, DEFAULTS) == []
    assert (asked(made, DEFAULTS).input_object, asked(made, DEFAULTS).input_url) == (None, None)


def test_only_the_requests_own_callback_is_replaced() -> None:
    """Comments, spaces, unknown nodes and a CallBack elsewhere keep every byte."""
    made = with_callback(FILE, "https://new.example.com/?x=1&y=<2>")
    old = b"<CallBack>https://old.example.com/?a=1&amp;b=2</CallBack>"
    assert made == FILE.replace(old, b"<CallBack>https://new.example.com/?x=1&amp;y=&lt;2&gt;</CallBack>")


def test_a_missing_callback_is_added() -> None:
    """As the last child of Request, with its format."""
    made = with_callback(b"<Request><Tag>A</Tag></Request>", "no", "JSON")
    assert made == (
        b"<Request><Tag>A</Tag><CallBack>no</CallBack>\n<CallBackFormat>JSON</CallBackFormat>\n</Request>"
    )


@pytest.mark.parametrize(
    "node",
    [
        b"<CallBack/>",
        b"<CallBack />",
        b"<CallBack></CallBack>",
        b"<CallBack>x</CallBack  >",
        b"<CallBack><!-- > --></CallBack>",
    ],
)
def test_every_form_of_the_node_is_found(node: bytes) -> None:
    """Empty, spaced, with a comment in it; beside other nodes or last."""
    for before, after in (
        (b"<Tag>A</Tag>", b""),
        (b"", b"<Tag>A</Tag>"),
        (b"", b"<CallBackType>Url</CallBackType>"),
    ):
        made = with_callback(b"<Request>" + before + node + after + b"</Request>", "no")
        assert made == b"<Request>" + before + b"<CallBack>no</CallBack>" + after + b"</Request>"


def test_a_repeated_callback_becomes_one() -> None:
    """Two would leave CI the choice."""
    made = with_callback(b"<Request><CallBack>a</CallBack><Tag>A</Tag><CallBack>b</CallBack></Request>", "no")
    assert made == b"<Request><CallBack>no</CallBack><Tag>A</Tag></Request>"


def test_without_a_callback_url_the_file_is_unchanged() -> None:
    assert with_callback(FILE, None) == FILE


@given(object_key=st.text(max_size=20), url=st.text(max_size=40))
def test_positions_are_bytes_not_characters(object_key: str, url: str) -> None:
    """Text of any script before the CallBack node does not shift the position of the cut."""
    made = request(input={"object": object_key})
    if check(made, DEFAULTS) or any(
        ord(c) < 32 or 0xD7FF < ord(c) < 0xE000 or ord(c) in (0xFFFE, 0xFFFF) for c in url
    ):
        return
    xml = with_callback(render(made, "https://old.example.com/", DEFAULTS), url)
    root = fromstring(xml)  # noqa: S314 - made here
    assert root.findtext("CallBack") == url
    assert root.findtext("Input/Object") == object_key
    assert len(root.findall("CallBack")) == 1


def test_a_file_with_several_operations() -> None:
    """Each has its own tag, or else that of the Request."""
    made = read_xml(
        b"<Request><Tag>Base</Tag><Input><Object>a.mp4</Object></Input>"
        b"<Operation><Tag>Transcode</Tag><TemplateId>t1</TemplateId></Operation>"
        b"<Operation><TemplateId>t2</TemplateId><UserData>u</UserData></Operation></Request>"
    )
    facts = asked(made, DEFAULTS)
    assert [(o.tag, o.template_id, o.user_data) for o in facts.operations] == [
        ("Transcode", "t1", None),
        ("Base", "t2", "u"),
    ]


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"{}",
        b"<Request>",
        b"<Request/>",
        b"<Response><Operation/></Response>",
        b'<r:Request xmlns:r="x"><Operation/></r:Request>',
        "<Request><Operation/></Request>".encode("utf-16"),
        b"<Request><Tag>\xff</Tag><Operation/></Request>",
        b"<!DOCTYPE Request><Request><Operation/></Request>",
        b'<!DOCTYPE r [<!ENTITY a "b">]><Request><Tag>&a;</Tag><Operation/></Request>',
        b"<Request><Operation>" + b"<A>" * 400 + b"</A>" * 400 + b"</Operation></Request>",
    ],
)
def test_an_invalid_request_is_refused_with_a_message(xml: bytes) -> None:
    """One sentence at `xml`; entities, DTDs and other encodings are not read at all."""
    with pytest.raises(BadRequest) as caught:
        read_xml(xml)
    (found,) = caught.value.broken
    assert (found.field, found.word) == ("xml", "xml")


def test_a_request_read_from_its_xml_leaves_the_same_record() -> None:
    """The same request, typed or read back from its own XML, leaves the same record."""
    made = request(user_data="u", job_level=1, queue_id="p1")
    back = read_xml(render(made, None, DEFAULTS))
    assert asked(back, DEFAULTS) == asked(made, DEFAULTS)
