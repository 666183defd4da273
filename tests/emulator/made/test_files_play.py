"""Outputs are files that a browser plays and shows, each with bytes of its own."""

from __future__ import annotations

import base64
import zlib

import pytest
from playwright.sync_api import Browser

from emulator.media.files import file, media_info
from tests.pages import conftest as pages

chromium = pages.chromium

TYPES = {
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "gif": "image/gif",
    "jpg": "image/jpeg",
    "png": "image/png",
}
VOICES = ("vocals", "background", "bass", "drums")


@pytest.mark.parametrize("suffix", [*TYPES, "amr"])
def test_no_two_jobs_make_the_same_bytes(suffix: str) -> None:
    """And the same job makes the same ones."""
    made = [file(suffix, f"Object of j{n}").body for n in range(20)]
    assert len(set(made)) == 20
    assert file(suffix, "Object of j0").body == made[0]


@pytest.mark.parametrize("suffix", ["mp3", "aac", "wav", "flac", "amr"])
def test_each_voice_has_a_tone_of_its_own(suffix: str) -> None:
    """So that a listener hears which is which."""
    assert len({file(suffix, "same", voice).body for voice in VOICES}) == len(VOICES)


def test_a_marked_png_has_right_checksums() -> None:
    """A strict reader refuses others."""
    body, at, names = file("png", "note").body, 8, []
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        chunk = body[at + 4 : at + 8 + size]
        assert int.from_bytes(body[at + 8 + size : at + 12 + size], "big") == zlib.crc32(chunk)
        names.append(chunk[:4])
        at += size + 12
    assert names[:2] == [b"IHDR", b"tEXt"] and names[-1] == b"IEND"


def test_media_info_is_true_of_the_file() -> None:
    """Size, duration and bitrate agree."""
    sound = file("mp3", "note")
    form = media_info([sound])["Format"]
    assert isinstance(form, dict)
    assert form["Size"] == str(len(sound.body))
    assert float(str(form["Bitrate"])) == pytest.approx(
        len(sound.body) * 8 / float(str(form["Duration"])) / 1000, rel=0.01
    )


LOADED = """
([kind, source]) => new Promise((done) => {
  const element = kind === "image" ? new Image() : document.createElement(kind);
  const end = (what) => done([what, element.duration ?? 0, element.naturalWidth ?? element.videoWidth ?? 0]);
  element.onerror = () => end(`error ${element.error?.message ?? ""}`);
  element.onload = () => end("shown");
  element.onended = () => end("played");
  element.muted = true;
  element.src = source;
  if (kind !== "image") element.play().catch((error) => end(`refused: ${error}`));
})
"""


@pytest.mark.parametrize("suffix", TYPES)
def test_a_browser_plays_or_shows_it(chromium: Browser, suffix: str) -> None:
    """To its end: the players of the page have something to play. (No browser plays AMR.)"""
    if suffix == "mp4" and not _plays_h264(chromium):
        pytest.skip("this browser was built without H.264")
    kind = TYPES[suffix].partition("/")[0]
    source = f"data:{TYPES[suffix]};base64,{base64.b64encode(file(suffix, 'note').body).decode()}"
    tab = chromium.new_page()
    try:
        what, seconds, width = tab.evaluate(LOADED, [kind, source])
    finally:
        tab.close()
    assert what == ("shown" if kind == "image" else "played")
    assert width > 0 if kind != "audio" else 0.9 < seconds < 1.2


def _plays_h264(browser: Browser) -> bool:
    tab = browser.new_page()
    try:
        return bool(
            tab.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=avc1.64000a')")
        )
    finally:
        tab.close()
