"""Makes the files in `samples/`: `python -m emulator.media.make FFMPEG`. Only to change them takes an encoder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
SECONDS = 1
PITCHES = {"vocals": 440, "background": 220, "bass": 110, "drums": 880}
_PLAIN = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-flags:v", "+bitexact")
AUDIO = {
    "mp3": ("-ar", "44100", "-b:a", "32k", "-write_xing", "0", "-id3v2_version", "0"),
    "aac": ("-ar", "44100", "-b:a", "32k", "-f", "adts"),
    "flac": ("-ar", "11025", "-sample_fmt", "s16"),
    "amr": ("-ar", "8000", "-b:a", "12.2k"),
}
_PICTURE = "testsrc=size=160x90:rate=10:duration=1"
_SOUND = ("-f", "lavfi", "-i", f"sine=frequency=330:duration={SECONDS}")
_FILM = (
    "-c:v",
    "libx264",
    "-preset",
    "veryslow",
    "-crf",
    "40",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-b:a",
    "24k",
)
PICTURES = {
    "film.mp4": (*_SOUND, *_FILM, "-shortest", "-movflags", "+faststart"),
    "film.gif": ("-vf", "scale=80:45,fps=5"),
    "picture.jpg": ("-frames:v", "1", "-q:v", "12"),
    "picture.png": ("-frames:v", "1", "-update", "1"),
}


def main(ffmpeg: str) -> None:
    """Write every sample again."""
    SAMPLES.mkdir(exist_ok=True)
    for name, pitch in PITCHES.items():
        for suffix, options in AUDIO.items():
            source = f"sine=frequency={pitch}:duration={SECONDS}"
            _run(ffmpeg, source, "-ac", "1", *options, *_PLAIN, f"{name}.{suffix}")
    for file, options in PICTURES.items():
        _run(ffmpeg, _PICTURE, *options, *_PLAIN, file)


def _run(ffmpeg: str, source: str, *options: str) -> None:
    *rest, file = options
    command = [ffmpeg, "-y", "-loglevel", "error", "-f", "lavfi", "-i", source, *rest, str(SAMPLES / file)]
    subprocess.run(command, check=True)  # noqa: S603  a program that the caller names


if __name__ == "__main__":
    main(*sys.argv[1:])
