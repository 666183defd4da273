"""VoiceSeparate callbacks of the size and shape that CI sends."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

_AUDIO = {
    "Bitrate": "128.000000",
    "Channel": "2",
    "ChannelLayout": "stereo",
    "CodecLongName": "MP3 (MPEG audio layer 3)",
    "CodecName": "mp3",
    "CodecTag": "0x0000",
    "CodecTimeBase": "1/14112000",
    "Duration": "93.688163",
    "Index": "0",
    "SampleFmt": "fltp",
    "SampleRate": "44100",
    "StartTime": "0.025057",
    "Timebase": "1/14112000",
}


def voice_separate(number: str, *, xml: bool, state: str = "Success") -> bytes:
    """The callback of the job with that number; ``Success`` by default."""
    job = _job(job_id(number), number) | {"State": state}
    if state != "Success":
        del job["EndTime"]
    if not xml:
        return json.dumps({"EventName": "TaskFinish", "JobsDetail": [job]}).encode()
    root = Element("Response")
    SubElement(root, "EventName").text = "TaskFinish"
    _node(root, "JobsDetail", job)
    return tostring(root)


def job_id(number: str) -> str:
    """An id as long as CI's own, and as hard to compress."""
    return "j" + hashlib.blake2b(number.encode(), digest_size=16).hexdigest()


def _job(name: str, number: str) -> dict[str, Any]:
    names = [f"out/{number}/vocals.mp3", f"out/{number}/background.mp3"]
    md5s = [hashlib.md5(name.encode()).hexdigest() for name in names]  # noqa: S324
    return {
        "Code": "Success",
        "CreationTime": "2026-07-01T10:12:26+0800",
        "EndTime": "2026-07-01T10:12:32+0800",
        "Input": {
            "BucketId": "demo-1250000000",
            "Object": f"input/talk-{number}.mp3",
            "Region": "ap-chongqing",
        },
        "JobId": name,
        "Message": "",
        "Operation": {
            "JobLevel": "0",
            "MediaInfo": {
                "Format": {
                    "Bitrate": "128.147000",
                    "Duration": "93.688163",
                    "FormatName": "mp3",
                    "Size": "1519263",
                },
                "Stream": {"Audio": [_AUDIO, _AUDIO]},
            },
            "MediaResult": {
                "OutputFile": {
                    "Bucket": "demo-1250000000",
                    "Md5Info": [
                        {"Md5": md5, "ObjectName": name} for md5, name in zip(md5s, names, strict=True)
                    ],
                    "ObjectName": names,
                    "ObjectPrefix": "",
                    "Region": "ap-chongqing",
                }
            },
            "Output": {
                "AuObject": names[0],
                "Bucket": "demo-1250000000",
                "Object": names[1],
                "Region": "ap-chongqing",
            },
            "UserData": f"order-{number}",
        },
        "QueueId": "p2242ab62c7c94486915508540933a2c6",
        "StartTime": "2026-07-01T10:12:27+0800",
        "State": "Success",
        "Tag": "VoiceSeparate",
    }


def _node(parent: Element, name: str, value: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        node = SubElement(parent, name)
        if isinstance(each, dict):
            for child, inner in each.items():
                _node(node, child, inner)
        else:
            node.text = each


def request(number: str) -> dict[str, Any]:
    """The body of ``POST /v1/jobs`` for the job with that number."""
    return {
        "tag": "VoiceSeparate",
        "input": {
            "bucket": "demo-1250000000",
            "region": "ap-chongqing",
            "object": f"input/talk-{number}.mp3",
        },
        "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
        "output": {
            "region": "ap-chongqing",
            "bucket": "demo-1250000000",
            "object": f"out/{number}/background.${{ext}}",
            "au_object": f"out/{number}/vocals.${{ext}}",
        },
        "user_data": f"order-{number}",
        "callback_format": "JSON",
    }


def submitted(number: str) -> bytes:
    """CI's answer to that request: the job is ``Submitted``."""
    job = _job(job_id(number), number)
    for name in ("EndTime", "StartTime"):
        job[name] = "-"
    for name in ("MediaInfo", "MediaResult"):
        del job["Operation"][name]
    return json.dumps({"JobsDetail": [job | {"State": "Submitted"}]}).encode()


def variety(number: str, chance: random.Random) -> Iterator[bytes]:
    """Callbacks about the job with that number, of several states, bitrates, regions and tags, in both formats."""
    job = _job(job_id(number), number)
    region = chance.choice(["ap-chongqing", "ap-beijing", "ap-shanghai", "ap-guangzhou", "ap-singapore"])
    text = json.dumps(job).replace("ap-chongqing", region)
    for old, new in (
        ("93.688163", f"{chance.uniform(1, 4000):.6f}"),
        ("128.147000", f"{chance.uniform(8, 400):.6f}"),
    ):
        text = text.replace(old, new)
    failed = {
        "State": "Failed",
        "Code": "InvalidArgument",
        "Message": "The audio stream of the input is broken.",
    }
    changes = chance.choice(
        [{}, {}, failed, {"State": "Running", "EndTime": "-"}, {"State": "Cancel", "Code": ""}]
    )
    made = (
        json.loads(text)
        | changes
        | {"Tag": chance.choice(["VoiceSeparate"] * 4 + ["NoiseReduction", "Transcode"])}
    )
    if "EndTime" in changes or "Code" in changes:
        del made["Operation"]["MediaInfo"], made["Operation"]["MediaResult"]
    yield json.dumps({"EventName": "TaskFinish", "JobsDetail": [made]}).encode()
    root = Element("Response")
    SubElement(root, "EventName").text = "TaskFinish"
    _node(root, "JobsDetail", made)
    yield tostring(root)
