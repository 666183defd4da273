"""VoiceSeparate callbacks of the size and shape that CI sends."""

from __future__ import annotations

import json
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
    """A job of that number, finished unless ``state`` says otherwise."""
    job = _job(job_id(number)) | {"State": state}
    if state != "Success":
        del job["EndTime"]
    if not xml:
        return json.dumps({"EventName": "TaskFinish", "JobsDetail": [job]}).encode()
    root = Element("Response")
    SubElement(root, "EventName").text = "TaskFinish"
    _node(root, "JobsDetail", job)
    return tostring(root)


def job_id(number: str) -> str:
    return "j" + number.rjust(32, "0")


def _job(name: str) -> dict[str, Any]:
    names = [f"out/{name}/vocals.mp3", f"out/{name}/background.mp3"]
    return {
        "Code": "Success",
        "CreationTime": "2026-07-01T10:12:26+0800",
        "EndTime": "2026-07-01T10:12:32+0800",
        "Input": {"BucketId": "demo-1250000000", "Object": "input/talk.mp3", "Region": "ap-chongqing"},
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
                        {"Md5": "3b883c0462ba845acdf3eb7e30db1a1c", "ObjectName": name} for name in names
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
            "UserData": "order-42",
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
