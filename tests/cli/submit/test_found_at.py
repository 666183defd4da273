"""An error names the place as the user wrote it: by option, by line and column, or by node."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.cli.submit.voice_options import fields
from tests.cli.submit.conftest import Flask

OPTION = r"--[a-z-]+( [A-Za-z0-9_.-]+)?"
LINE = re.compile(rf"(error|warning): {OPTION}(, {OPTION})*: (?P<rule>.+) \[[a-z_]+\]")
BROKEN = (
    (),
    ("--audio-mode", "Loud", "--codec", "opus", "--channels", "9", "--bitrate", "x", "--user-data", "é"),
    ("--codec", "amr"),
    ("--audio-mode", "MusicMode", "--codec", "MP3", "--samplerate", "8000", "--object", "a"),
    ("--template-id", "t", "--audio-mode", "IsAudio"),
    ("--output-object", "a", "--au-object", "a", "--input", "a", "--output-bucket", "b", "--output-region", "?"),
    ("--bucket", "b?", "--region", "eu-mars", "--input-url", "https://example.com/a.mp3"),
    ("--callback-type", "TDMQ", "--mq-mode", "Heap", "--callback", "https://example.com"),
    ("--callback-type", "Pigeon", "--callback-format", "YAML", "--mq-name", "q"),
    ("--callback", "http://127.0.0.1", "--job-level", "9", "--deadline", "0", "--label", "A=b"),
    ("--callback", "gopher://x", "--deadline", "soon", "--label", f"a={'x' * 200}", "--allow", "everything"),
    ("--input", "/a.txt", "--au-object", "/${date}", "--bass-object", "x" * 2000, "--queue-id", "x" * 200),
    tuple(word for n in range(20) for word in ("--label", f"l{n}=1")),
)  # fmt: skip


@pytest.mark.parametrize("path", [path for path, _ in fields()])
def test_every_option_is_named_by_its_own_name(path: str, flask: Flask) -> None:
    """A value that no field accepts is reported under the option that holds it."""
    name = path.rpartition(".")[2].replace("_", "-")
    option = f"--{path.replace('.', '-')}" if name in {"bucket", "region", "object", "url"} else f"--{name}"
    ran = flask("submit", "voice-separate", option, "a\x01", "--dry-run")
    assert ran.code == 2
    assert f"error: {option}: " in ran.err


@pytest.mark.parametrize("arguments", BROKEN, ids=" ".join)
def test_every_rule_speaks_of_options_alone(arguments: tuple[str, ...], flask: Flask) -> None:
    """Neither the place nor the sentence has a name that only the API knows."""
    ran = flask("submit", "voice-separate", *arguments, "--dry-run")
    assert ran.code == 2
    for line in ran.err.splitlines():
        said = LINE.fullmatch(line)
        assert said, line
        if not line.startswith("error: --allow"):
            assert not re.search(r"[a-z]_[a-z]|[a-z]\.[a-z]", said["rule"]), line


def test_a_warning_names_the_option_too(flask: Flask) -> None:
    """Also if there is no error."""
    ran = flask(
        "submit", "voice-separate", "--input", "a.mp3", "--audio-mode", "IsAudio", "--au-object", "o",
        "--object", "p", "--dry-run",
    )  # fmt: skip
    assert ran.code == 0
    assert "warning: --output-object: IsAudio makes no file for this key [output_unused]" in ran.err


def test_a_row_is_named_by_line_and_column(flask: Flask, tmp_path: Path) -> None:
    """With the line number of an editor, also after a cell of several lines; a value from an option is reported under
    the option."""
    path = tmp_path / "jobs.csv"
    path.write_text(
        "sep=,\n"
        + "input.object,output.au_object,user_data,label.Show,voice_separate.audio_config.channels\n"
        + 'in/a.mp3,out/a.mp3,"two\nlines",,\n'
        + "in/b.mp3,out/b.mp3,,x,9\n"
        + "in/c.mp3,out/c.mp3,,,,,,\n"
    )
    ran = flask(
        "submit", "voice-separate", "--audio-mode", "IsAudio", "--codec", "opus", "--from", str(path), "--dry-run"
    )  # fmt: skip
    assert ran.code == 1
    first, second, third = (line for line in ran.err.splitlines() if line.startswith("line "))
    assert first.startswith("line 3, row 1: refused: ")
    assert "column user_data: is printable ASCII" in first
    assert " --codec: is one of" in first
    assert second.startswith("line 5, row 2: refused: ")
    assert "column label.Show: a label's name" in second
    assert "column voice_separate.audio_config.channels: " in second
    assert third.startswith("line 6, row 3: refused: has more cells than there are columns")


def test_a_line_of_json_is_named_by_its_fields(flask: Flask, tmp_path: Path) -> None:
    """And invalid JSON by its column."""
    path = tmp_path / "jobs.jsonl"
    bad = {"input": {"object": "a.mp3"}, "output": {"au_object": "o"}, "job_level": "9"}
    path.write_text("\n" + json.dumps(bad) + '\n{"input": }\n')
    ran = flask("submit", "voice-separate", "--audio-mode", "IsAudio", "--from", str(path), "--dry-run")
    assert "line 2: refused: job_level: is 0, 1 or 2 [job_level]" in ran.err
    assert "line 3: refused: is not one JSON object on one line: Expecting value, column 11" in ran.err


def test_a_csv_that_cannot_be_read_names_its_line(flask: Flask, tmp_path: Path) -> None:
    """Here because of a misplaced quotation mark."""
    path = tmp_path / "jobs.csv"
    path.write_text('input.object,user_data\na.mp3,x\nb.mp3,"y" z\n')
    ran = flask("submit", "voice-separate", "--from", str(path), "--dry-run")
    assert ran.code == 2
    assert "This is not a CSV: line 3: " in ran.err


def test_a_ready_file_is_named_by_its_nodes(flask: Flask, tmp_path: Path) -> None:
    """By CI's names, as they are in the file; options by their own."""
    path = tmp_path / "request.xml"
    path.write_text(
        "<Request><Tag>VoiceSeparate</Tag><Input><Object>/a.mp3</Object></Input><Operation><VoiceSeparate>"
        "<AudioMode>IsAudio</AudioMode><AudioConfig><Codec>opus</Codec></AudioConfig></VoiceSeparate><Output>"
        "<Region>ap-chongqing</Region><Bucket>b-1250000000</Bucket><AuObject>o</AuObject></Output></Operation>"
        "<CallBackFormat>YAML</CallBackFormat></Request>"
    )
    ran = flask(
        "submit", "raw", str(path), "--label", "A=b", "--deadline", "0", "--allow", "everything", "--dry-run"
    )
    assert ran.code == 2
    for place in (
        "Operation/VoiceSeparate/AudioConfig/Codec", "CallBackFormat", "Input/Object", "--label A", "--deadline",
        "--allow",
    ):  # fmt: skip
        assert f": {place}: " in ran.err, place
