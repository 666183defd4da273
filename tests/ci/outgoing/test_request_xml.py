"""CI's XML for a request, byte for byte."""

from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ci.outgoing.request_xml import render
from tests.ci.requests import DEFAULTS, broken, request, voice

URL = "https://ci.example.com/callbacks/t0ken"


def xml(made: Any, callback: str | None = URL) -> str:
    return render(made, callback, DEFAULTS).decode()


def test_a_full_request_in_the_order_of_tencents_samples() -> None:
    """Every field of VoiceSeparate has its node and its place; labels and allow stay with us."""
    made = request(
        input={"bucket": "media-1250000000", "region": "ap-tokyo", "object": "in/Q&A <1>.mp4"},
        voice_separate={
            "audio_mode": "MusicMode",
            "audio_config": {"codec": "mp3", "samplerate": 44100, "bitrate": 500, "channels": 2},
        },
        output={
            "object": "bg.${ext}",
            "au_object": "vo.${ext}",
            "bass_object": "ba.${ext}",
            "drum_object": "dr.${ext}",
        },
        user_data="order-42",
        job_level=0,
        queue_id="p2242",
        callback_format="xml",
        callback_type="url",
        labels={"team": "a"},
        allow=["codec"],
    )
    assert xml(made) == (
        "<Request>\n<Tag>VoiceSeparate</Tag>\n<Input>\n<Object>in/Q&amp;A &lt;1&gt;.mp4</Object>\n</Input>\n"
        "<Operation>\n<VoiceSeparate>\n<AudioConfig>\n<Bitrate>500</Bitrate>\n<Channels>2</Channels>\n"
        "<Codec>mp3</Codec>\n<Samplerate>44100</Samplerate>\n</AudioConfig>\n<AudioMode>MusicMode</AudioMode>\n"
        "</VoiceSeparate>\n<Output>\n<Region>ap-tokyo</Region>\n<Bucket>media-1250000000</Bucket>\n"
        "<Object>bg.${ext}</Object>\n<AuObject>vo.${ext}</AuObject>\n<BassObject>ba.${ext}</BassObject>\n"
        "<DrumObject>dr.${ext}</DrumObject>\n</Output>\n<UserData>order-42</UserData>\n<JobLevel>0</JobLevel>\n"
        "</Operation>\n<QueueId>p2242</QueueId>\n<CallBack>https://ci.example.com/callbacks/t0ken</CallBack>\n"
        "<CallBackFormat>XML</CallBackFormat>\n<CallBackType>Url</CallBackType>\n</Request>"
    )


def test_the_least_request() -> None:
    """A template and one key; bucket, region and format come from the settings."""
    made = request(voice_separate=None, template_id="t1", output={"object": "o"})
    assert xml(made) == (
        "<Request>\n<Tag>VoiceSeparate</Tag>\n<Input>\n<Object>in/talk.mp4</Object>\n</Input>\n<Operation>\n"
        "<TemplateId>t1</TemplateId>\n<Output>\n<Region>ap-chongqing</Region>\n<Bucket>demo-1250000000</Bucket>\n"
        "<Object>o</Object>\n</Output>\n</Operation>\n<CallBack>https://ci.example.com/callbacks/t0ken</CallBack>\n"
        "<CallBackFormat>JSON</CallBackFormat>\n</Request>"
    )


def test_without_an_input_there_is_no_node_for_it() -> None:
    """An empty one would be an input without a key."""
    made = request(tag="Tts", input={}, operation={"A": "b"}, voice_separate=None, output=None)
    assert "<Input" not in xml(made)


def test_without_a_callback_no_format_is_sent() -> None:
    """`no` is CI's word for none; a format is sent only where there is something to format, or when asked for."""
    assert "<CallBack>no</CallBack>\n</Request>" in xml(request(), "no")
    assert "CallBack" not in xml(request(), None)
    assert "<CallBackFormat>XML</CallBackFormat>" in xml(request(callback_format="XML"), "no")


def test_a_queue_instead_of_a_url() -> None:
    """TDMQ goes with its own container, and with a format."""
    made = request(
        callback_type="tdmq", callback_mq_config={"mq_region": "sh", "mq_mode": "Topic", "mq_name": "jobs"}
    )
    assert xml(made, None).endswith(
        "<CallBackFormat>JSON</CallBackFormat>\n<CallBackType>TDMQ</CallBackType>\n<CallBackMqConfig>\n"
        "<MqRegion>sh</MqRegion>\n<MqMode>Topic</MqMode>\n<MqName>jobs</MqName>\n</CallBackMqConfig>\n</Request>"
    )


def test_an_empty_audio_config_is_sent() -> None:
    """CI requires the container, and nothing in it."""
    assert "<VoiceSeparate>\n<AudioConfig />\n<AudioMode>IsAudio</AudioMode>" in xml(voice())


def test_a_raw_operation_keeps_its_order_and_forms() -> None:
    """An object holds children, a list repeats its node, null is left out, numbers and booleans are text."""
    raw = {
        "Transcode": {"Video": {"Fps": 25, "Remove": False}, "Audio": {}, "Note": None},
        "WatermarkTemplateId": ["t1", "t2"],
        "Output": {"Object": "o", "Bucket": "b-1", "Region": "ap-tokyo"},
        "UserData": "",
    }
    made = request(tag="Transcode", operation=raw, voice_separate=None, output=None, job_level=1)
    body = xml(made).partition("<Operation>\n")[2].partition("</Operation>")[0]
    assert body == (
        "<Transcode>\n<Video>\n<Fps>25</Fps>\n<Remove>false</Remove>\n</Video>\n<Audio />\n</Transcode>\n"
        "<WatermarkTemplateId>t1</WatermarkTemplateId>\n<WatermarkTemplateId>t2</WatermarkTemplateId>\n"
        "<Output>\n<Object>o</Object>\n<Bucket>b-1</Bucket>\n<Region>ap-tokyo</Region>\n</Output>\n<UserData />\n"
        "<JobLevel>1</JobLevel>\n"
    )


def test_several_operations_carry_their_own_tags() -> None:
    """As on CI's page for several jobs: no Tag at the Request, one first in each Operation."""
    made = request(
        voice_separate=None,
        output=None,
        operations=[
            {"Tag": "Animation", "TemplateId": "t1"},
            {"template_id": "t2", "output": {"object": "o"}},
        ],
    )
    root = fromstring(xml(made))  # noqa: S314 - made here
    assert root.find("Tag") is None
    assert [[node.tag for node in operation] for operation in root.findall("Operation")] == [
        ["Tag", "TemplateId"],
        ["Tag", "TemplateId", "Output"],
    ]
    assert [node.text for node in root.findall("Operation/Tag")] == ["Animation", "VoiceSeparate"]


@pytest.mark.parametrize(
    "name", ["in/\r\n.mp4", "in/\r.mp4", " lead and trail ", "]]>", "<!--x-->", "&amp;", "\t"]
)
def test_awkward_names_arrive_as_they_are(name: str) -> None:
    """Escaped, never changed; a carriage return would become a line feed if it were sent bare."""
    root = fromstring(xml(request(input={"object": name})))  # noqa: S314 - made here
    assert root.findtext("Input/Object") == name


@given(name=st.text(min_size=1, max_size=60), value=st.text(max_size=60), data=st.text(max_size=60))
def test_whatever_passes_the_rules_arrives_as_it_is(name: str, value: str, data: str) -> None:
    """Any text in any field: either a rule stops it, or CI's parser reads the very same text."""
    made = request(input={"object": name}, operation={"Extra": {"Text": [value, "x"]}}, user_data=data)
    if any(b.severity == "error" for b in broken(made)):
        return
    root = fromstring(render(made, URL, DEFAULTS))  # noqa: S314 - made here
    assert root.findtext("Input/Object") == name
    assert root.findtext("Operation/Extra/Text") == value
    assert root.findtext("Operation/UserData", "") == data
    assert len(root.findall("Operation/*")) == 3 + bool(data)


@given(
    st.recursive(
        st.text(max_size=5) | st.integers() | st.booleans() | st.none(),
        lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=4), c, max_size=3),
        max_leaves=12,
    )
)
def test_whatever_raw_operation_passes_is_well_formed(raw: Any) -> None:
    """No JSON value makes XML that is broken, or a node that was not asked for."""
    made = request(tag="X", operation={"A": raw})
    if any(b.severity == "error" for b in broken(made)):
        return
    root = fromstring(render(made, URL, DEFAULTS))  # noqa: S314 - made here
    assert [node.tag for node in root] == ["Tag", "Input", "Operation", "CallBack", "CallBackFormat"]


@pytest.mark.parametrize("operation", [None, {}], ids=["absent", "empty"])
def test_there_is_no_empty_operation(operation: Any) -> None:
    """MediaInfo needs none; user data alone adds one."""
    flat = {"voice_separate": None, "output": None}
    made = request(tag="MediaInfo", operation=operation, **flat)
    assert "Operation" not in xml(made)
    assert "<Operation>\n<UserData>x</UserData>\n</Operation>" in xml(
        request(tag="MediaInfo", user_data="x", **flat)
    )
