"""Files as spreadsheets write them: delimiters, columns, and suggestions for misspelt columns."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from app.services import Services
from app.submitter.columns import UnreadableFile, columns, meant_by
from app.submitter.rows import read_csv
from harness.emulated import Emulated
from tests.cli.submit.conftest import Flask

COMMON = ("submit", "voice-separate", "--audio-mode", "IsAudio", "--codec", "mp3", "--from")
NAMES = ("input.object", "output.au_object", "user_data", "label.show")
CELLS = ("in/a, b;c.mp3", "out/a.mp3", 'say "hi"', "news")


def table(delimiter: str, *rows: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("said", ["", "sep={}\r\n"])
def test_the_delimiter_is_found_by_the_header(delimiter: str, said: str) -> None:
    """Comma, semicolon or tab, or what Excel's `sep=` line names; cells may hold the others."""
    (row,) = read_csv(io.StringIO(said.format(delimiter) + table(delimiter, NAMES, CELLS)), {})
    assert row.data == {
        "input": {"object": CELLS[0]},
        "output": {"au_object": CELLS[1]},
        "user_data": CELLS[2],
        "labels": {"show": "news"},
    }
    assert (row.number, row.input_object, row.user_data) == (1, CELLS[0], CELLS[2])


@pytest.mark.parametrize("name", columns())
def test_a_table_of_one_column_has_no_delimiter(name: str) -> None:
    (row,) = read_csv(io.StringIO(f"{name}\n1;2\n"), {})
    assert row.fault is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("input.objct", "input.object"),
        ("Input.Object", "input.object"),
        ("input_object", "input.object"),
        ("object", "input.object or output.object"),
        ("userdata", "user_data"),
        ("UserData", "user_data"),
        ("user data", "user_data"),
        ("au_object", "output.au_object"),
        ("AuObject", "output.au_object"),
        ("codec", "voice_separate.audio_config.codec"),
        ("labels", "label.<name>"),
        ("label_show", "label.show"),
        ("dead_line", "deadline"),
    ],
)
def test_a_near_miss_is_answered_with_the_column(name: str, meant: str) -> None:
    assert " or ".join(meant_by(name)) == meant
    with pytest.raises(UnreadableFile, match=f"did you mean {meant}"):
        read_csv(io.StringIO(f"{name};output.object\na;b\n"), {})


def test_a_column_without_a_similar_name_is_only_named() -> None:
    assert meant_by("price") == []
    with pytest.raises(UnreadableFile, match=r"'price'\. There are"):
        read_csv(io.StringIO("price,input.object\n1,a\n"), {})
    with pytest.raises(UnreadableFile, match=r"twice: label\.a"):
        read_csv(io.StringIO("label.a,labels.a\n1,2\n"), {})


def test_the_report_can_be_joined_to_the_file(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """Each line has the object and user data of its row, whatever its status; labels and deadline of the row are
    used."""
    path, report = tmp_path / "jobs.csv", tmp_path / "report.csv"
    rows = (("in/1.mp3", "out/1.mp3", "row 1", "news", "90"), ("in/2.mp3", "", "row 2", "news", ""))
    path.write_text(table(";", (*NAMES, "deadline"), *rows))
    ran = flask(*COMMON, str(path), "--report", str(report), "--json")
    assert ran.code == 1, ran.err
    lines = list(csv.DictReader(report.open()))
    assert [(line["row"], line["input_object"], line["user_data"], line["status"]) for line in lines] == [
        ("1", "in/1.mp3", "row 1", "submitted"),
        ("2", "in/2.mp3", "row 2", "refused"),
    ]
    said = [json.loads(line) for line in ran.out.splitlines()]
    assert {(each["input_object"], each["user_data"]) for each in said} == {
        ("in/1.mp3", "row 1"),
        ("in/2.mp3", "row 2"),
    }
    listed = flask("jobs", "list", "--label", "show=news", "--json").json["jobs"]
    assert [job["job_id"] for job in listed] == [lines[0]["job_ids"]]
    assert listed[0]["labels"] == {"show": "news"}


def test_a_ready_file_of_xml_has_labels_and_a_deadline_too(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """As options of `flask submit raw`; neither is sent to CI."""
    one = (
        "--input-object",
        "in/a.mp3",
        "--au-object",
        "out/a.mp3",
        "--codec",
        "mp3",
        "--audio-mode",
        "IsAudio",
        "--callback",
        "no",
    )
    path = tmp_path / "request.xml"
    path.write_text(flask("submit", "voice-separate", *one, "--dry-run").out)
    ran = flask("submit", "raw", str(path), "--label", "show=news", "--deadline", "90", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["labels"] == {"show": "news"}
    kept = services.store.submissions.get(ran.json["submission"]["id"])
    assert kept is not None and kept.patience == 90
    assert "news" not in str(ci.requests("submit"))
    assert flask("submit", "raw", str(path), "--label", "Show=news").code == 2
