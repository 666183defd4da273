"""One finished job for each tag, in the shape that CI publishes for it, and what its record must say."""

from typing import Any, NamedTuple

from tests.ci.samples import Tree

PLACE = {"Bucket": "films-1250000000", "Region": "ap-chongqing"}
AUDIO = {"CodecName": "aac", "Channel": "2", "SampleRate": "48000", "Bitrate": "256.050000"}
VIDEO = {"CodecName": "h264", "Width": "1920", "Height": "1080", "Fps": "25.000000", "AvgFps": "24.9"}
FILM = {
    "Format": {
        "Bitrate": "2000.000000",
        "Duration": "10.000000",
        "FormatName": "mov,mp4",
        "Size": "2500000",
    },
    "Stream": {"Audio": AUDIO, "Subtitle": None, "Video": VIDEO},
}
NOTHING = {"Format": None, "Stream": {"Audio": None, "Subtitle": None, "Video": None}}


class Case(NamedTuple):
    """``files`` are roles and keys; ``kind`` is that of the result."""

    operation: Tree
    files: tuple[tuple[str | None, str], ...] = ()
    media: bool = False
    kind: str | None = None


def files(*names: str, prefix: str | None = None, info: Any = None, **more: Any) -> Tree:
    file = {**PLACE, "ObjectPrefix": prefix, "ObjectName": list(names), "Md5Info": None, **more}
    return {"MediaResult": {"OutputFile": file}, "MediaInfo": info, "Output": {**PLACE, "Object": names[0]}}


def film(name: str) -> Case:
    return Case(files(name, info=FILM), ((None, name),), media=True)


def found(kind: str, data: Any, **more: Any) -> Case:
    return Case({kind: data, "UserData": "u", **more}, kind=kind)


WRITTEN = {"Output": {**PLACE, "Object": "out/made.txt"}}

CASES = {
    "Animation": film("out/a.gif"),
    "Concat": film("out/c.mp4"),
    "DNA": found("DnaResult", {"VideoId": "v", "Duration": "12", "Detection": {"Similar": "90"}}),
    "DigitalWatermark": film("out/d.mp4"),
    "DocProcess": Case(
        {
            "DocProcessResult": {
                "TotalPageCount": "2",
                "PageInfo": [
                    {"PageNo": "1", "TgtUri": "/out/p1.jpg"},
                    {"PageNo": "2", "TgtUri": "/out/p2.jpg"},
                ],
            },
            "Output": {**PLACE, "Object": "out/p${Number}.jpg"},
        },
        ((None, "out/p1.jpg"), (None, "out/p2.jpg")),
        kind="DocProcessResult",
    ),
    "DocWatermark": Case(
        {"DocWatermarkResult": {"Size": "99", "Etag": "e"}, **WRITTEN},
        ((None, "out/made.txt"),),
        kind="DocWatermarkResult",
    ),
    "ExtractDigitalWatermark": found(
        "ExtractDigitalWatermark", {"Message": "hello", "Type": "Text", "Version": "V1"}
    ),
    "FileCompress": Case(
        {"FileCompressResult": {**PLACE, "Object": "out/all.zip", "CompressFileCount": "3"}, **WRITTEN},
        ((None, "out/all.zip"),),
        kind="FileCompressResult",
    ),
    "FileHashCode": found("FileHashCodeResult", {"MD5": "m", "FileSize": "123", "Etag": "e"}),
    "FileUncompress": found("FileUncompressResult", {**PLACE, "FileCount": "7"}),
    "FillConcat": film("out/f.mp4"),
    "ImageInspect": found("ImageInspectResult", {"ProcessResult": {"Suspicious": "true", "PicSize": "8"}}),
    "ImageOCR": found("ImageOcrResult", {"TextDetections": [{"DetectedText": "a"}, {"DetectedText": "b"}]}),
    "MediaInfo": Case({"MediaInfo": FILM}, media=True, kind="MediaInfo"),
    "NoiseReduction": Case(dict(WRITTEN), ((None, "out/made.txt"),)),
    "PicProcess": Case(
        {
            "PicProcessResult": {
                "ObjectName": "/out/p.jpg",
                "ProcessResult": {"Format": "JPEG", "Width": "417", "Size": "24911", "Etag": None},
            },
            "Output": {**PLACE, "Object": "out/p.jpg"},
        },
        ((None, "out/p.jpg"),),
        kind="PicProcessResult",
    ),
    "PosterProduction": film("out/poster.jpg"),
    "QualityEstimate": Case(
        {
            "MediaInfo": FILM,
            "MediaResult": {"OutputFile": None},
            "QualityEstimate": {"Score": "6.460358"},
        },
        media=True,
        kind="QualityEstimate",
    ),
    "SDRtoHDR": film("out/h.mp4"),
    "Segment": Case(
        files("0", "1", prefix="out/part-", info=FILM),
        ((None, "out/part-0"), (None, "out/part-1")),
        media=True,
    ),
    "SegmentVideoBody": film("out/body.mp4"),
    "SmartCover": Case(
        files("out/0.jpg", "out/1.jpg", info=NOTHING), ((None, "out/0.jpg"), (None, "out/1.jpg"))
    ),
    "Snapshot": Case(
        files(
            "0.jpg",
            "1.jpg",
            prefix="out/shot-",
            info=NOTHING,
            SpriteOutputFile={**PLACE, "ObjectPrefix": "out/sprite-", "ObjectName": "0.jpg"},
        ),
        ((None, "out/shot-0.jpg"), (None, "out/shot-1.jpg"), ("sprite", "out/sprite-0.jpg")),
    ),
    "SoundHound": found(
        "SoundHoundResult", {"SongList": {"SongName": "s", "SingerName": "n", "Inlier": "9"}}
    ),
    "SpeechRecognition": Case(
        {
            "SpeechRecognitionResult": {
                "AudioTime": "19.7124",
                "ObjectName": "/out/t.txt",
                "DetailObjectName": "/out/t.txt.detail",
                "Result": "[0:3.320,0:19.712]  hello",
                "ResultDetail": {"FinalSentence": "hello", "WordsNum": "1", "Words": {"Word": "hello"}},
            },
            "Output": {**PLACE, "Object": "out/t.txt"},
        },
        ((None, "out/t.txt"), (None, "out/t.txt.detail")),
        kind="SpeechRecognitionResult",
    ),
    "SplitVideoParts": found("SplitVideoInfoResult", {"TimeInfo": [{"Index": "0"}, {"Index": "1"}]}),
    "StreamExtract": Case(files("out/0.mp4", "out/1.mp4"), ((None, "out/0.mp4"), (None, "out/1.mp4"))),
    "SuperResolution": film("out/s.mp4"),
    "Transcode": film("out/t.mp4"),
    "Translation": Case({**WRITTEN, "Translation": {"Lang": "en", "Type": "txt"}}, ((None, "out/made.txt"),)),
    "Tts": film("/out/tts.mp3")._replace(files=((None, "/out/tts.mp3"),)),
    "VideoEnhance": film("out/e.mp4"),
    "VideoMontage": film("out/m.mp4"),
    "VideoProcess": film("out/p.mp4"),
    "VideoSynthesis": film("out/y.mp4"),
    "VideoTag": found(
        "VideoTagResult",
        {"StreamData": {"Data": {"Tags": [{"Tag": "Game", "Confidence": "0.58"}, {"Tag": "x"}]}}},
    ),
    "VideoTargetRec": found("VideoTargetRecResult", {"BodyRecognition": {"Time": "1", "Url": "https://b/x"}}),
    "VocalScore": found("VocalScoreResult", {"PitchScore": {"TotalScore": "88.5"}}),
    "VoiceSeparate": Case(
        {
            **files("out/v.mp3", "out/b.mp3", info=FILM),
            "Output": {**PLACE, "Object": "out/b.mp3", "AuObject": "out/v.mp3"},
        },
        (("vocals", "out/v.mp3"), ("background", "out/b.mp3")),
        media=True,
    ),
    "WordsGeneralize": found(
        "WordsGeneralizeResult",
        {
            "WordsGeneralizeLable": {"Category": "Mobility", "Word": "Taxi"},
            "WordsGeneralizeToken": [{"Word": "Today", "Pos": "t"}, {"Word": "Taxi", "Pos": "v"}],
        },
        WordsGeneralize={"NerMethod": "DL", "SegMethod": "MIX"},
    ),
    # A tag that is in no table: its result is known by its name.
    "Divination": found("DivinationResult", {"Fortune": "good", "Odds": ["1", "2"]}),
}


def job(tag: str, **changes: Any) -> Tree:
    """A finished job of that tag."""
    detail: Tree = {
        "Code": "Success",
        "CreationTime": "2024-03-05T21:59:58+0800",
        "EndTime": "2024-03-05T22:00:31+0800",
        "Input": {"BucketId": "films-1250000000", "Object": "in/film.mp4", "Region": "ap-chongqing"},
        "JobId": "j0123456789abcdef0123456789abcdef",
        "Message": None,
        "Operation": CASES[tag].operation,
        "State": "Success",
        "Tag": tag,
    }
    return {**detail, **changes}
