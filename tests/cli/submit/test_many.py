"""``flask submit voice-separate --from``: many rows, none twice, as fast as CI allows, and a report of the rest."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.core.clock import now_ms
from app.services import Services
from app.settings import Settings
from app.store.submissions.idempotency import IdempotencyRecord
from app.submitter.rows import read_csv
from harness.emulated import Emulated
from harness.servers import ROOT, eventually
from tests.cli.submit.conftest import Flask, command

COMMON = ("--audio-mode", "IsAudio", "--codec", "mp3")
HEAD = "input.object,output.au_object,user_data,labels.order\n"


def rows_of(count: int, start: int = 0) -> str:
    return "".join(f"in/{n}.mp3,out/{n}.mp3,row-{n},{n}\n" for n in range(start, start + count))


def file_of(tmp_path: Path, text: str, name: str = "jobs.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def submitted(services: Services, ci: Emulated) -> list[str]:
    """The user data of every job that CI has, by CI's own list."""
    found: list[str] = []
    token = None
    while True:
        page = services.provider.list_jobs(ci.bucket, "ap-chongqing", "VoiceSeparate", next_token=token)
        found += [detail.report.user_data or "" for detail in page.details]
        token = page.next_token
        if token is None:
            return sorted(found)


def has_seen(ci: Emulated, count: int) -> bool:
    return len(ci.requests()) > count


def open_submissions(settings: Settings) -> list[str]:
    return Services.open(settings, timeout=5).store.submissions.unanswered()


def wanted(count: int) -> list[str]:
    return sorted(f"row-{n}" for n in range(count))


def test_two_hundred_rows(flask: Flask, services: Services, ci: Emulated, tmp_path: Path) -> None:
    """Each row is one job; its line and its job's id are printed; options fill what the rows leave open."""
    path = file_of(tmp_path, HEAD + rows_of(200))
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "32")
    assert ran.code == 0, ran.err
    assert submitted(services, ci) == wanted(200)
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert sorted(int(number) for number, _ in lines) == list(range(1, 201))
    job = services.store.jobs.get(lines[0][1])
    assert job is not None
    assert job.submission is not None
    kept = services.store.submissions.get(job.submission.id)
    assert kept is not None
    assert kept.labels == {"order": str(int(lines[0][0]) - 1)}
    assert "200 rows: 200 submitted." in ran.err

    again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert again.code == 0, again.err
    assert "200 submitted before" in again.err
    assert submitted(services, ci) == wanted(200), "done twice, submitted once"


def test_a_run_that_was_killed_goes_on_and_sends_nothing_twice(
    settings: Settings, flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """kill -9 in the middle, again and again: at the end each row is one job."""
    path = file_of(tmp_path, HEAD + rows_of(60))
    argv, variables = command(
        settings, "submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "4"
    )
    for round_ in range(1, 4):
        log = (tmp_path / f"log-{round_}").open("wb")
        run = subprocess.Popen(argv, cwd=ROOT, env=variables, stdout=log, stderr=log)
        eventually(partial(has_seen, ci, round_ * 8), "rows at CI")
        run.send_signal(signal.SIGKILL)
        run.wait()
        log.close()
    before = len(submitted(services, ci))
    assert 0 < before < 60, "killed in the middle"
    report = tmp_path / "report.jsonl"
    ran = flask(
        "submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "16", "--report", str(report)
    )
    jobs = submitted(services, ci)
    assert len(jobs) == len(set(jobs)), "nothing is submitted twice"
    # A row whose process died between storing and sending is not sent by guess: it is looked for.
    lost = [json.loads(line)["status"] for line in report.read_text().splitlines()].count("lost")
    assert len(jobs) >= 60 - lost, ran.err
    assert ran.code == (1 if lost else 0), ran.err
    assert lost <= 12, "four at a time, three kills"


def test_a_row_whose_answer_was_lost_is_not_sent_again(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """It is reported as lost, run after run, until the relay has found it."""
    path = file_of(tmp_path, HEAD + rows_of(3))
    ci.fault("lost_answer", on="submit", times=1)
    first = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "1")
    assert first.code == 1
    assert "2 submitted, 1 CI's answer lost" in first.err
    second = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert second.code == 1
    assert "2 submitted before, 1 CI's answer lost" in second.err
    assert submitted(services, ci) == wanted(3)


def test_broken_rows_are_reported_and_the_others_go(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """The report names row, field and rule; CI's refusals stand in it with code and request id."""
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
    """Each row's own in the report, their number by word on standard error; whether they are sent or tried out."""
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


def test_slow_down_slows_all_threads(flask: Flask, services: Services, ci: Emulated, tmp_path: Path) -> None:
    """SlowDown for several at once: the rows wait their turn, none is lost, none is sent twice."""
    path = file_of(tmp_path, HEAD + rows_of(40))
    ci.fault("error", on="submit", code="SlowDown", status=429, times=5)
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "16")
    assert ran.code == 0, ran.err
    assert submitted(services, ci) == wanted(40)
    times = [one["at"] for one in ci.requests() if one["status"] == 429]
    after = [one["at"] for one in ci.requests() if one["status"] == 200]
    gaps = [
        later - earlier
        for earlier, later in zip(sorted(times + after), sorted(times + after)[1:], strict=False)
    ]
    assert max(gaps) > 0.3, "all threads paused"


def test_a_rate_is_not_exceeded(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """`--rate 5`: ten rows take two seconds, however many threads there are."""
    path = file_of(tmp_path, HEAD + rows_of(10))
    flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "10", "--rate", "5")
    times = [one["at"] for one in ci.requests()]
    assert len(times) == 10
    assert times[-1] - times[0] > 1.2


def test_the_same_refusal_again_and_again_ends_the_run(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """A missing role is not the row's fault: the run ends, says so, and can be started again."""
    path = file_of(tmp_path, HEAD + rows_of(60))
    ci.fault("error", on="submit", code="CIRoleNotExist", status=400)
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "2")
    assert ran.code == 6
    assert "CI_QCSRole" in ran.err
    assert "not tried" in ran.err
    assert len(ci.requests()) < 30


def test_a_dry_run_checks_every_row_and_sends_nothing(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """The XML of those that can be sent, the rules of those that cannot; nothing is remembered."""
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


def test_two_runs_of_one_file_at_a_time_share_its_rows(
    settings: Settings, flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """No row is sent by both; each report names every row. What the other run has just sent is `before`, or `lost`
    while CI's answer is not stored."""
    path, reports = file_of(tmp_path, HEAD + rows_of(60)), [tmp_path / f"{n}.jsonl" for n in range(2)]
    runs = []
    for report in reports:
        arguments = ("--from", str(path), "--parallel", "4", "--report", str(report))
        argv, variables = command(settings, "submit", "voice-separate", *COMMON, *arguments)
        runs.append(
            subprocess.Popen(
                argv, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
    assert {run.wait(120) for run in runs} <= {0, 1}
    assert len(ci.requests()) == 60, "each row is sent once"
    assert submitted(services, ci) == wanted(60)
    reported = [
        {line["row"]: line["status"] for line in map(json.loads, report.read_text().splitlines())}
        for report in reports
    ]
    for row in range(1, 61):
        assert sorted(each[row] for each in reported)[1] == "submitted", (
            f"row {row} is submitted by one of the two"
        )
        assert sorted(each[row] for each in reported)[0] in {"before", "lost"}
    again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert (again.code, "60 rows: 60 submitted before." in again.err) == (0, True)


def test_a_row_that_another_run_is_sending_is_named(
    settings: Settings, flask: Flask, ci: Emulated, tmp_path: Path
) -> None:
    """While CI's answer to the first run is outstanding, the second says that another run is sending the row."""
    path = file_of(tmp_path, HEAD + rows_of(1))
    ci.fault("slow", on="submit", seconds=20, times=1)
    argv, variables = command(settings, "submit", "voice-separate", *COMMON, "--from", str(path))
    run = subprocess.Popen(
        argv, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: len(open_submissions(settings)) == 1, "the first run has stored the row")
        run.send_signal(signal.SIGSTOP)  # it cannot get its answer, nor time out
        second = flask("submit", "voice-separate", *COMMON, "--from", str(path))
        assert second.code == 1
        assert "row 1: lost: another run" in second.err
    finally:
        run.kill()
        run.wait()


def test_rows_may_be_moved_added_and_corrected(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """A row is known by its content: after an edit only what is new or has changed is sent; under another name the
    file is another run, and so it is with a label for all rows."""
    path = file_of(tmp_path, HEAD + rows_of(3))
    assert flask("submit", "voice-separate", *COMMON, "--from", str(path)).code == 0
    file_of(tmp_path, HEAD + rows_of(2, start=3) + "\n" + rows_of(3))
    again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert "5 rows: 2 submitted, 3 submitted before." in again.err
    assert submitted(services, ci) == wanted(5)
    again = flask("submit", "voice-separate", *COMMON, "--label", "run=2", "--from", str(path))
    assert "5 rows: 5 submitted." in again.err
    copy = file_of(tmp_path, path.read_text(), "copy.csv")
    assert "5 rows: 5 submitted." in flask("submit", "voice-separate", *COMMON, "--from", str(copy)).err


def test_a_job_that_is_no_longer_stored_is_not_paid_for_again(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """The record of a row names the jobs that CI made of it: it needs neither them nor their submission."""
    path = file_of(tmp_path, HEAD + rows_of(2))
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    job_ids = sorted(line.split("\t")[1] for line in ran.out.splitlines())
    for job_id in job_ids:
        services.store.retention.drop_job(job_id)
        assert services.store.jobs.get(job_id) is None
    report = tmp_path / "report.jsonl"
    flask("submit", "voice-separate", *COMMON, "--from", str(path), "--report", str(report))
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["before"] * 2
    assert sorted(each for line in lines for each in line["job_ids"]) == job_ids
    assert len(ci.requests()) == 2


def test_a_file_that_an_earlier_release_has_run_goes_on(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """What its journal calls submitted is not sent, what its records in Redis name is looked up, the rest is sent."""
    path = file_of(tmp_path, HEAD + rows_of(4))
    common = {
        "tag": "VoiceSeparate",
        "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    }
    with path.open() as file:
        keys = [row.key for row in read_csv(file, common)]
    ran = flask(
        "submit", "voice-separate", *COMMON, "--from", str(file_of(tmp_path, HEAD + rows_of(1, 2), "x.csv"))
    )
    job = services.store.jobs.get(ran.out.split()[1])
    assert job is not None
    assert job.submission is not None
    # Row 1 stands in the journal alone, row 2 in both, row 3 in Redis alone; row 4 was not begun.
    for key, submission in [(keys[1], "sgone"), (keys[2], job.submission.id)]:
        record = IdempotencyRecord(key, submission, now_ms())
        assert services.store.idempotency.take("rows", f"cafe.{key}", record, 60) is None
    lines: list[dict[str, Any]] = [{"journal": 1, "run": "cafe"}]
    lines += [{"key": k, "status": "submitted", "submission": "s1", "job_ids": ["j1"]} for k in keys[:2]]
    lines += [{"key": keys[3], "status": "failed", "submission": "s4", "job_ids": []}]
    Path(f"{path}.journal").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"key":"half a li'
    )
    for reported in ("1 submitted, 3 submitted before.", "4 submitted before."):
        again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
        assert reported in again.err
    assert submitted(services, ci) == ["row-2", "row-3"]
