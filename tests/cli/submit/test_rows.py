"""``flask submit voice-separate --from``: how rows are read, checked and reported."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app.services import Services
from harness.emulated import Emulated
from tests.cli.submit.conftest import Flask
from tests.cli.submit.row_files import COMMON, HEAD, file_of, rows_of, submitted, wanted


def test_broken_rows_are_reported_and_the_others_are_sent(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """The report has row, field and rule of each, and CI's refusals with code and request id."""
    text = (
        HEAD
        + rows_of(2)
        + ",out/x.mp3,row-2,2\n"
        + "in/3.mp3,,café,3\n"
        + "in/4.mp3,out/4.mp3,row-4,4,too,many\n"
    )
    path, report = file_of(tmp_path, text), tmp_path / "report.csv"
    ci.fault("error", on="submit", code="ResourceNotFound", status=400, message="Gone.", times=1)
    ran = flask(
        "submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "1", "--report", str(report)
    )  # fmt: skip
    assert ran.code == 1
    lines = list(csv.DictReader(report.open()))
    assert [(line["row"], line["status"]) for line in lines] == [
        ("1", "failed"), ("2", "submitted"), ("3", "refused"), ("4", "refused"), ("5", "refused")
    ]  # fmt: skip
    assert lines[0]["ci_code"] == "ResourceNotFound"
    assert lines[0]["ci_request_id"]
    assert "input.object" in lines[2]["why"]
    assert "output" in lines[3]["why"]
    assert "user_data" in lines[3]["why"]
    assert "more cells" in lines[4]["why"]
    assert "line 4, row 3: refused: column input.object" in ran.err
    assert len(ci.requests()) == 2

    fixed = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert "1 submitted, 1 submitted before" in fixed.err, "what CI refused is tried again"


def test_warnings_of_a_row_are_reported(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """The report has them for each row, standard error their number by word; in a dry run too."""
    text = "input.object,output.au_object,output.object,user_data\n" + (
        "in/0.mp3,out/0.mp3,,row-0\nin/1.mp3,out/1.mp3,out/b.mp3,row-1\nin/2.txt,out/2.mp3,out/b.mp3,row-2\n"
        "in/3.txt,out/3.mp3,,café\n"
    )
    path, report, lines = file_of(tmp_path, text), tmp_path / "report.csv", tmp_path / "report.jsonl"
    common = ("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "1")
    ran = flask(*common, "--dry-run", "--report", str(lines))
    counted = "warnings: 3 rows are doubtful: 2 of [output_unused], 2 of [input_format]."
    assert counted in ran.err
    tried = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["status"] for line in tried] == ["ready"] * 3 + ["refused"]
    assert [[each["word"] for each in line["warnings"]] for line in tried] == [
        [], ["output_unused"], ["input_format", "output_unused"], ["input_format"]
    ]  # fmt: skip
    ran = flask(*common, "--report", str(report))
    assert ran.code == 1
    assert counted in ran.err
    reported = list(csv.DictReader(report.open()))
    assert [line["status"] for line in reported] == ["submitted"] * 3 + ["refused"]
    assert reported[0]["warnings"] == ""
    assert "output.object: IsAudio makes no file for this key [output_unused]" in reported[2]["warnings"]
    assert "[input_format]" not in reported[3]["why"]
    assert flask(*common, "--allow", "output_unused").err.count("output_unused") == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_are_numbered_as_they_stand_in_the_file(
    form: str, flask: Flask, ci: Emulated, tmp_path: Path
) -> None:
    """Blank lines are no rows, and count: an editor, or a spreadsheet, shows the same number."""
    if form == "csv":
        text = HEAD + "\n" + rows_of(1) + "\n\n" + ",out/x.mp3,x,1\n"
    else:
        good = {"input": {"object": "in/0.mp3"}, "output": {"au_object": "out/0.mp3"}, "user_data": "row-0"}
        text = "\n" + json.dumps(good) + "\n\n  \n" + json.dumps({"output": {"au_object": "x"}}) + "\n"
    path = file_of(tmp_path, text, f"jobs.{form}")
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert ran.out.startswith("2\t")
    where = "line 6, row 5: refused: column" if form == "csv" else "line 5: refused:"
    assert f"{where} input.object" in ran.err
    assert "2 rows: 1 submitted, 1 break rules" in ran.err


def test_json_lines_from_standard_input(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """Each line is a body of POST /v1/jobs; the same text is the same run; `--json` prints a line for each row."""
    lines: list[Any] = [
        {"input": {"object": f"in/{n}.mp3"}, "output": {"au_object": f"o/{n}.mp3"}, "user_data": f"row-{n}"}
        for n in range(3)
    ]
    text = "\n".join(map(json.dumps, lines)) + "\nnot json\n"
    report = tmp_path / "report.jsonl"
    arguments = ("submit", "voice-separate", *COMMON, "--from", "-", "--report", str(report), "--json")
    ran = flask(*arguments, stdin=text)
    assert ran.code == 1
    reported = sorted((json.loads(line) for line in ran.out.splitlines()), key=lambda line: line["row"])
    assert [line["status"] for line in reported] == ["submitted"] * 3 + ["refused"]
    assert [json.loads(line)["row"] for line in report.read_text().splitlines()] == [1, 2, 3, 4]
    again = flask(*arguments, stdin=text)
    assert "3 submitted before" in again.err
    assert submitted(services, ci) == wanted(3)


def test_a_dry_run_checks_every_row_and_sends_nothing(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """It prints the XML of valid rows and the broken rules of others, and stores nothing."""
    path = file_of(tmp_path, HEAD + rows_of(2) + ",,,\n")
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--dry-run")
    assert ran.code == 1
    assert ran.out.count("<Request>") == 2
    assert "2 of 3 rows can be sent; nothing was." in ran.err
    assert "row 3: refused" in ran.err
    assert ci.requests() == []
    assert "2 submitted," in flask("submit", "voice-separate", *COMMON, "--from", str(path)).err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["jobs.csv"]


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("input.object,output.vocals\n", "Unknown columns: 'output.vocals'"),
        ("input.object,input.object\n", "appear twice"),
        ("", "empty"),
        (HEAD, "no rows"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_whole(
    text: str, reported: str, flask: Flask, ci: Emulated, tmp_path: Path
) -> None:
    """A misspelt column would be missing in every row: nothing is sent, exit code 2."""
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(file_of(tmp_path, text)))
    assert ran.code == 2
    assert reported in ran.err
    assert ci.requests() == []
