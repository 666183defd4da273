"""CI's MediaInfo, typed."""

from itertools import product
from typing import Any

import pytest

from app.ci.incoming.made.media import media
from app.ci.report import Media
from tests.ci.made.payloads import AUDIO, FILM, NOTHING, VIDEO


def of(**form: Any) -> Media | None:
    return media({"MediaInfo": {"Format": form, "Stream": {"Audio": AUDIO, "Video": VIDEO}}})


def test_it_is_typed() -> None:
    """Numbers are numbers, and the bitrate is in bits a second."""
    assert media({"MediaInfo": FILM}) == Media(
        format="mov,mp4",
        duration_s=10.0,
        size=2_500_000,
        bitrate=2_000_000,
        width=1920,
        height=1080,
        fps=25.0,
        video_codec="h264",
        audio_codec="aac",
    )


@pytest.mark.parametrize(
    "info", [None, "", {}, [], NOTHING, {"Stream": {}}, {"Format": {"Size": "big"}}, "x"]
)
def test_without_anything_in_it_there_is_none(info: Any) -> None:
    """Snapshot and SmartCover send empty nodes."""
    assert media({"MediaInfo": info}) is None
    assert media({}) is None


def test_of_several_streams_the_first_counts() -> None:
    """VoiceSeparate sends one stream for each file, all alike."""
    other = {**AUDIO, "CodecName": "mp3"}
    found = media({"MediaInfo": {"Format": {}, "Stream": {"Audio": [AUDIO, other]}}})
    assert found == Media(audio_codec="aac")


@pytest.mark.parametrize(
    ("bitrate", "bits"),
    [("834.736000", 834_736), ("834736", 834_736), (834.736, 834_736), ("0", 0), ("-1", None), ("n/a", None)],
)
def test_the_bitrates_unit_is_the_one_that_fits_the_file(bitrate: Any, bits: int | None) -> None:
    """Both kbit and bit are in CI's own samples."""
    found = of(Bitrate=bitrate, Duration="13.654", Size="1424687")
    assert found is not None and found.bitrate == bits


def test_no_numbers_break_the_reader() -> None:
    """The smallest, the largest, and zero, in each field at once: a callback with them is not lost."""
    numbers = (
        "0",
        "0.000000000001",
        "0.0004",
        "0.0005",
        "0.001",
        "1",
        "999999999999.999999999999",
        "1/999999999999",
    )
    for bitrate, duration, size in product(numbers, numbers, (*numbers, "9" * 18)):
        found = of(Bitrate=bitrate, Duration=duration, Size=size)
        assert found is not None
        assert found.bitrate is not None
        assert 0 <= found.bitrate <= 10**15


def test_without_a_size_it_is_kbit() -> None:
    """As CI's pages say."""
    found = of(Bitrate="128.147", Duration="13.6")
    assert found is not None and found.bitrate == 128_147


@pytest.mark.parametrize(
    ("fps", "rate"),
    [("50/1", 50.0), ("30000/1001", 29.97003), ("24.000000", 24.0), ("1/0", None), ("x", None)],
)
def test_a_rate_may_be_a_fraction(fps: str, rate: float | None) -> None:
    """High-speed HD transcoding writes ``50/1``."""
    found = media({"MediaInfo": {"Stream": {"Video": {"Fps": fps, "Width": "1"}}}})
    assert found is not None and found.fps == rate


@pytest.mark.parametrize("number", ["9" * 400, "1e999", "NaN", "Infinity", "-5", [], {}, True, "1.5.5"])
def test_an_invalid_number_is_null(number: Any) -> None:
    """It never breaks a record, and the record is valid JSON."""
    found = of(Duration=number, Size=number, Bitrate=number)
    assert found is not None and (found.duration_s, found.size, found.bitrate) == (None, None, None)
